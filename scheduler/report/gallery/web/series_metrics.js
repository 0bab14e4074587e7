// The values of runs that the plot shows: the mean, official numbers, categories, dimensions, cost and time.

const valueTexts = {
  score: [scoreText, intervalText],
  number: [numberText, numberIntervalText],
  seconds: [secondsText, () => NOTHING],
  count: [whole, () => NOTHING],
};

// Each with: id (its name in the URL), group, name (as people read it), kind (of text), better ("higher", "lower"), limits
// (of its scale, if there is one), and pointOf(run): value, interval, num (of scores), or missing (the reason why there
// is no value).
function allMetrics() {
  const statistics = (group, missing) => (isKnown(group?.mean)
    ? { value: group.mean, interval: group.ci95, num: group.num_samples } : { missing });
  const official = (name) => (run) => {
    if (!run.official) return { missing: t("missing.official") };
    const value = Object.hasOwn(run.official.numbers, name) ? run.official.numbers[name] : null;
    return isKnown(value) ? { value, interval: run.official.intervals[name] } : { missing: t("missing.number") };
  };
  const numbers = [...new Set(runs.flatMap((run) => Object.keys(run.official?.numbers ?? {})))];
  const mainFirst = numbers.sort((first, second) => (second === series.main) - (first === series.main));
  const cost = (name, kind) => ({
    id: `cost:${name}`, group: "cost", name: t(`cost.${name}`), kind, better: "lower",
    pointOf: ({ cost: known }) => (isKnown(known[name]) ? { value: known[name] } : { missing: t("missing.cost") }),
  });
  const all = [
    {
      id: "", group: "overall", name: t("overall.mean"), kind: "score", better: "higher", limits: page.range,
      pointOf: (run) => statistics({ ...run, num_samples: run.num_scored }, t("missing.scores")),
    },
    ...mainFirst.map((name) =>
      ({ id: `official:${name}`, group: "official", name, kind: "number", better: "higher", pointOf: official(name) })),
    ...series.categories.map((name) => ({
      id: `category:${name}`, group: "category", name, kind: "score", better: "higher", limits: page.range,
      pointOf: (run) => statistics(own(run.categories, name), t("missing.category")),
    })),
    ...[...dimensions].map(([name, { range, better }]) => ({
      id: `dimension:${name}`, group: "dimension", name, kind: "score", better, limits: range,
      pointOf: (run) => statistics(own(run.dimensions, name), t("missing.dimension")),
    })),
    cost("seconds", "seconds"), cost("edit_wall_seconds", "seconds"), cost("score_wall_seconds", "seconds"),
    cost("edit_device_seconds", "seconds"), cost("score_device_seconds", "seconds"),
    cost("requests", "count"), cost("prompt_tokens", "count"), cost("completion_tokens", "count"),
  ];
  return all.filter(({ id, pointOf }) => id === "" || runs.some((run) => isKnown(pointOf(run).value)));
}

// Names come from data, and `__proto__` may be one.
const own = (values, name) => (Object.hasOwn(values, name) ? values[name] : null);

const metricText = (metric, value) => valueTexts[metric.kind][0](value);
const metricInterval = (metric, interval) => valueTexts[metric.kind][1](interval);

const chosenMetric = (metrics) => metrics.find(({ id }) => id === view.metric) ?? metrics[0];

// Buttons, one for each value, with a small curve and the value of the current run.
function metricList(metrics, changed) {
  const groups = [...new Set(metrics.map(({ group }) => group))];
  const button = (metric) => {
    const value = make("span", { class: "value" });
    follow(value, (number) => {
      value.textContent = metricText(metric, metric.pointOf(runs[number]).value);
    });
    const choose = () => {
      view.metric = metric.id;
      writeView();
      list.querySelector("[aria-checked=true]")?.setAttribute("aria-checked", "false");
      node.setAttribute("aria-checked", "true");
      for (const each of list.querySelectorAll("button")) each.tabIndex = each === node ? 0 : -1;
      changed();
    };
    const chosen = metric === chosenMetric(metrics);
    const node = make("button", {
      type: "button", role: "radio", class: "metric", "aria-checked": String(chosen), tabindex: chosen ? 0 : -1,
      on: { click: choose },
    },
      make("span", { class: "name" }, make("bdi", {}, metric.name)), value,
      order.length > 1 && sparkline(order.map((number) => metric.pointOf(runs[number]).value)));
    return node;
  };
  const list = make("div", { class: "metrics", role: "radiogroup", "aria-label": t("metrics") },
    groups.map((group) => [
      make("h3", {}, t(`metrics.${group}`)),
      metrics.filter((metric) => metric.group === group).map(button)]));
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const buttons = [...list.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + (by ?? 0)];
    if (!by || !next) return;
    event.preventDefault();
    next.focus();
    next.click();
  });
  return list;
}

// A curve without axes; its ends are those of the values, or `range`. Where a value is missing, it is broken. `place` is
// that of the dot; the element's `mark(place)` moves it.
function sparkline(values, { range = null, place = null } = {}) {
  const known = values.filter(isKnown);
  const [low, high] = range ?? [Math.min(...known), Math.max(...known)];
  const x = (index) => (values.length > 1 ? (100 * index) / (values.length - 1) : 50);
  const y = (value) => (high > low ? 100 - (100 * (Math.min(high, Math.max(low, value)) - low)) / (high - low) : 50);
  const dot = make("i", {});
  const { line, dots } = brokenPath(values, x, y, beginnings);
  const node = make("span", { class: "spark", "aria-hidden": "true" }, make("span", {},
    make("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      make("path", { class: "curve", d: line }), make("path", { class: "curve dots", d: dots })),
    dot));
  node.mark = (next) => {
    dot.hidden = !isKnown(values[next]);
    if (dot.hidden) return;
    dot.style.left = `${x(next)}%`;
    dot.style.top = `${y(values[next])}%`;
  };
  node.mark(place);
  return node;
}

// A path through the values, broken where one is missing and before each of the places `breaks`, and dots for values
// without a neighbour: lines of no length with round ends.
function brokenPath(values, x, y, breaks = new Set()) {
  const parts = { line: "", dots: "" };
  const joined = (index) => isKnown(values[index]) && isKnown(values[index - 1]) && !breaks.has(index);
  values.forEach((value, index) => {
    if (!isKnown(value)) return;
    const at = `${x(index).toFixed(2)} ${y(value).toFixed(2)}`;
    if (joined(index)) parts.line += `L${at}`;
    else if (joined(index + 1)) parts.line += `M${at}`;
    else parts.dots += `M${at}h0`;
  });
  return parts;
}
