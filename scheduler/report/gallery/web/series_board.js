// The runs by a value, the best first, each with its interval on a common axis.

function rankedPlot(metric, onPoint) {
  const points = runs.map((run) => metric.pointOf(run));
  const known = points.flatMap(({ value, interval }) => [value, ...(interval ?? [])]).filter(isKnown);
  const ends = metric.kind === "score" || metric.kind === "number" ? endsFor(known, metric.limits) : [0, Math.max(...known) * 1.04 || 1];
  const at = (value) => `${100 * shareOf(value, ends)}%`;
  const direction = metric.better === "lower" ? 1 : -1;
  const sorted = runs.map((_, number) => number).sort(by((number) => points[number].value, direction, (a, b) => a - b));
  const ticks = metric.kind === "seconds"
    ? timeTicks(...ends, 4) : ticksBetween(...ends, 4).map((value, _, all) => [value, tickText(value, all)]);
  const rows = sorted.map((number) => rankedRow(metric, number, points[number], at, ticks, onPoint));
  const list = make("div", { class: "ranked", role: "listbox", "aria-label": metric.name }, rows,
    make("div", { class: "ranked-row ranked-axis", "aria-hidden": "true" }, make("span", {}),
      make("span", { class: "lane" }, ticks.map(([value, text]) => placed("span", "tick-text", at(value), text))),
      make("span", {})));
  list.addEventListener("keydown", (event) => {
    const by_ = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = by_ && rows[rows.indexOf(document.activeElement) + by_];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.click();
  });
  return follow(list, (number) => rows.forEach((row, place) => {
    const chosen = sorted[place] === number;
    row.setAttribute("aria-selected", String(chosen));
    row.tabIndex = chosen ? 0 : -1;
  }));
}

function rankedRow(metric, number, { value, interval, missing }, at, ticks, onPoint) {
  const run = runs[number];
  const lane = make("span", { class: "lane" }, ticks.map(([tick]) => placed("i", "lane-grid", at(tick))));
  if (isKnown(value)) {
    if (interval) {
      const line = placed("i", "lane-interval", at(interval[0]));
      line.style.right = `calc(100% - ${at(interval[1])})`;
      lane.append(line);
    }
    lane.append(placed("i", `lane-dot ${isKnown(run.step) ? colourClass(run) : ""}`, at(value)));
  } else lane.append(make("span", { class: "lane-missing" }, missing));
  const kind = number === bestRun ? " best" : run.judged_alike ? "" : " apart";
  return make("div", {
    class: `ranked-row${kind}`, role: "option", tabindex: -1,
    on: {
      click: () => chooseRun(number), pointerenter: () => onPoint(number), pointerleave: () => onPoint(null),
    },
  },
    make("span", { class: "ranked-name" }, make("bdi", {}, nameOf(run))),
    lane,
    make("span", { class: "ranked-value" }, metricText(metric, value)));
}

function placed(tag, kind, left, ...content) {
  const node = make(tag, { class: kind }, ...content);
  node.style.left = left;
  return node;
}
