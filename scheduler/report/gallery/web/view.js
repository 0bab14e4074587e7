// Which pairs are shown, in which order. The URL's hash has it, so that a link leads to the same view.

// `by` is the dimension that is filtered and sorted by, empty for the score. The last four are those of a series.
const PLAIN = {
  q: "", category: "", status: "", by: "", low: "", high: "", sort: "", other: "", pair: "",
  run: "", metric: "", plot: "", layout: "",
};
const NOT_A_FILTER = ["by", "sort", "other", "pair", "run", "metric", "plot", "layout"];
const view = { ...PLAIN };

function readView() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(PLAIN)) view[name] = wanted.get(name) ?? PLAIN[name];
}

function writeView() {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== PLAIN[name]) words.set(name, value);
  const hash = words.toString();
  try {
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  } catch {
    // Some browsers refuse this for a file; the view is then not in the URL.
  }
}

// The view without filters.
function withoutFilters() {
  return { ...PLAIN, ...Object.fromEntries(NOT_A_FILTER.map((name) => [name, view[name]])), pair: "" };
}

function fold(text) {
  return text.normalize("NFKC").toLowerCase();
}

// The texts of a pair that a search reads, normalised once, when first needed.
function searchable(pair, texts) {
  pair.folded ??= fold(texts(pair).map(textOf).join("\n"));
  return pair.folded;
}

function numberOr(text, fallback) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : fallback;
}

// The pairs of this view. `rules`: texts(pair), score(pair), statusOf(pair), orders (name -> comparison).
function chosenPairs(rules) {
  const words = fold(view.q).split(/\s+/).filter(Boolean);
  const low = numberOr(view.low, -Infinity);
  const high = numberOr(view.high, Infinity);
  const bounded = low !== -Infinity || high !== Infinity;
  const chosen = pairs.filter((pair) => {
    if (view.category && pair.category !== view.category) return false;
    if (view.status && rules.statusOf(pair) !== view.status) return false;
    if (bounded) {
      const score = rules.score(pair);
      if (!isKnown(score) || score < low || score > high) return false;
    }
    if (!words.length) return true;
    const text = searchable(pair, rules.texts);
    return words.every((word) => text.includes(word));
  });
  const order = rules.orders[view.sort] ?? rules.orders[rules.firstOrder];
  return order ? chosen.sort(order) : chosen;
}

const inFileOrder = (first, second) => first.index - second.index;

// Ascending for direction 1, descending for -1; pairs without a value last, equal ones in the order of `rest`.
function by(value, direction, rest = inFileOrder) {
  return (first, second) => {
    const a = value(first);
    const b = value(second);
    if (!isKnown(a) || !isKnown(b)) return isKnown(b) - isKnown(a) || rest(first, second);
    return direction * (a - b) || rest(first, second);
  };
}

const categoryPlace = (pair) => categories.get(pair.category).place;

// Normalises the texts while the browser is idle, so that the first search is fast.
function foldAhead(texts) {
  let next = 0;
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 5 }), 50));
  const work = (deadline) => {
    while (next < pairs.length && deadline.timeRemaining() > 1) searchable(pairs[next++], texts);
    if (next < pairs.length) idle(work);
  };
  idle(work);
}
