// Which items are shown, in which order: kept in the URL's hash, so that a view can be passed on.

const PLAIN = { q: "", category: "", status: "", low: "", high: "", sort: "", other: "", pair: "" };
const NOT_A_FILTER = ["sort", "other", "pair"];
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

function fold(text) {
  return text.normalize("NFKC").toLowerCase();
}

// `texts` are those of an item that a search looks through; they are folded once, when first needed.
function searchable(item, texts) {
  item.folded ??= fold(texts(item).map(textOf).join("\n"));
  return item.folded;
}

function numberOr(text, fallback) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : fallback;
}

// The items of this view. `rules`: texts(item), score(item), statusOf(item), orders (name -> comparison).
function chosenItems(items, rules) {
  const words = fold(view.q).split(/\s+/).filter(Boolean);
  const low = numberOr(view.low, -Infinity);
  const high = numberOr(view.high, Infinity);
  const bounded = low !== -Infinity || high !== Infinity;
  const chosen = items.filter((item) => {
    if (view.category && head.categories[item.category].name !== view.category) return false;
    if (view.status && rules.statusOf(item) !== view.status) return false;
    if (bounded) {
      const score = rules.score(item);
      if (score === undefined || score === null || score < low || score > high) return false;
    }
    if (!words.length) return true;
    const text = searchable(item, rules.texts);
    return words.every((word) => text.includes(word));
  });
  const order = rules.orders[view.sort] ?? rules.orders[rules.firstOrder];
  return order ? chosen.sort(order) : chosen;
}

// Larger or smaller first, those without a value last; equal ones stay in the benchmark's order.
function by(value, direction) {
  return (one, two) => {
    const a = value(one) ?? null;
    const b = value(two) ?? null;
    if (a === null || b === null) return (a === null) - (b === null) || one.index - two.index;
    return direction * (a - b) || one.index - two.index;
  };
}

// So that the first search does not wait for the folding of ten thousand texts.
function foldAhead(items, texts) {
  let next = 0;
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 5 }), 50));
  const work = (deadline) => {
    while (next < items.length && deadline.timeRemaining() > 1) searchable(items[next++], texts);
    if (next < items.length) idle(work);
  };
  idle(work);
}
