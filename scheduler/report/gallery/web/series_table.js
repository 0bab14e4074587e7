// The table of all runs. A click on a heading sorts by it; a click on a row shows its run everywhere.

// The end of the axis of differences: all of them, but not so far that their intervals become points.
function axisEnd(name) {
  const known = runs.map((run) => run[name]).filter((each) => isKnown(each?.mean_difference));
  const widths = known.filter((each) => each.ci95_series).map(({ ci95_series: [low, high] }) => high - low)
    .sort((first, second) => first - second);
  const all = known.flatMap((each) => [each.mean_difference, ...(each.ci95_series ?? [])]).map(Math.abs);
  const usual = widths.length ? 3 * widths[Math.floor(widths.length / 2)] : Infinity;
  return Math.max(0.01, Math.min(usual, ...(all.length ? [Math.max(...all)] : [])));
}

// The columns: name (also that of its heading), value(run, number) that it is sorted by, direction of the first sort
// (null: not sorted by), cell(run, number).
function runColumns() {
  const anyOfficial = series.main && runs.some((run) => run.official);
  const difference = (name) => {
    const end = axisEnd(name);
    return {
      name: `to.${name}`, value: (run) => run[name]?.mean_difference, direction: -1,
      cell: (run) => differenceCell(run, name, end),
    };
  };
  const columns = [
    { name: "run", value: (_, number) => placeOf.get(number), direction: 1, cell: nameCell, heads: true },
    series.by_step && {
      name: "step", value: (run) => run.step, direction: 1, cell: (run) => (isKnown(run.step) ? whole(run.step) : NOTHING),
    },
    {
      // The runs that cannot be ranked come last, whatever their mean.
      name: "mean", value: (_, number) => -series.ranking.indexOf(number), direction: -1,
      cell: (run) => make("b", {}, scoreMark(run.mean)),
    },
    { name: "ci95", direction: null, cell: (run) => intervalText(run.ci95) },
    anyOfficial && {
      name: "main", heading: series.main, direction: -1, value: (run) => own(run.official?.numbers ?? {}, series.main),
      cell: officialCell,
    },
    { name: "num_samples", value: (run) => run.num_scored, direction: -1, cell: pairsCell },
    runs.length > 1 && difference("best"),
    series.by_step && difference("previous"),
    { name: "status", value: (run) => run.status, direction: 1, cell: statusCell },
    {
      name: "cost.seconds", value: (run) => run.cost.seconds, direction: 1, cell: (run) => secondsText(run.cost.seconds),
    },
  ];
  return columns.filter(Boolean);
}

function nameCell(run, number) {
  const { gallery } = page.runs[number];
  const title = make("bdi", {}, nameOf(run));
  return [
    gallery ? make("a", { href: gallery, title: t("open.run") }, title) : title,
    number === bestRun && make("span", { class: "status" }, t("best")),
    run.judged_alike === false && make("span", { class: "status incomplete", title: t("not.comparable.more") },
      t("not.comparable")),
  ];
}

function officialCell(run) {
  const { official } = run;
  const value = official && own(official.numbers, series.main);
  if (!isKnown(value)) return [NOTHING];
  const interval = official.intervals[series.main];
  return [numberText(value), interval && make("span", { class: "quiet beside" }, numberIntervalText(interval))];
}

function pairsCell(run) {
  const lacking = ["edited", "failed", "missing", "other"].filter((name) => run[`num_${name}`] > 0)
    .map((name) => `${t(`lacking.${name}`)} ${whole(run[`num_${name}`])}`).join(", ");
  return [`${whole(run.num_scored)} / ${whole(run.num_pairs)}`, lacking && make("span", { class: "under" }, lacking)];
}

function statusCell(run) {
  return make("span", { class: `status ${run.status.toLowerCase()}` },
    run.running ? t("run.running") : t(`report.${run.status}`));
}

// The difference, its interval corrected for all comparisons, as a line too, and the corrected p.
function differenceCell(run, name, most) {
  const difference = run[name];
  if (!difference) return [make("span", { class: "quiet" }, NOTHING)];
  const { mean_difference: mean, ci95_series: interval, p_series: p, num_pairs: n } = difference;
  if (!isKnown(mean)) return [NOTHING, make("span", { class: "under" }, t(run.judged_alike ? "no.common.pairs" : "not.comparable"))];
  const sure = interval && (interval[0] > 0 || interval[1] < 0);
  return [
    make("span", { class: "difference" },
      forest(mean, interval, most),
      make("span", { class: sure ? "sure" : "" }, signedText(mean))),
    make("span", { class: "under" }, [intervalText(interval), isKnown(p) && `p ${pText(p)}`,
      n !== run.num_scored && t("pairs.n", { n: whole(n) })].filter(Boolean).join(" · ")),
  ];
}

// A difference and its interval on an axis from -most to most; the line in the middle is zero. A difference beyond the
// axis is an arrow.
function forest(mean, interval, most) {
  const width = 120;
  const x = (value) => width / 2 + (Math.min(most, Math.max(-most, value)) / most) * (width / 2 - 4);
  const picture = make("svg", { class: "forest", viewBox: `0 0 ${width} 16`, width, height: 16, "aria-hidden": "true" },
    make("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: 16 }));
  if (interval) {
    picture.append(make("line", { class: "interval", x1: x(interval[0]), x2: x(interval[1]), y1: 8, y2: 8 }));
  }
  const tip = x(mean) + Math.sign(mean) * 4;
  picture.append(Math.abs(mean) > most
    ? make("path", { class: "mean", d: `M${tip} 8l${-Math.sign(mean) * 7} -4v8z` })
    : make("circle", { class: "mean", cx: x(mean), cy: 8, r: 3.2 }));
  return picture;
}

function runsTable() {
  const columns = runColumns();
  const sorting = { column: columns.find(({ name }) => name === "mean"), direction: -1 };
  const bodies = runs.map((run, number) => make("tr", { on: { click: (event) => choose(event, number) } },
    columns.map(({ cell, heads }) => (heads
      ? make("th", { scope: "row" }, cell(run, number)) : make("td", {}, cell(run, number))))));
  const body = make("tbody", {});
  const heads = columns.map((column) => make("th", { scope: "col" }, isKnown(column.direction)
    ? make("button", { type: "button", class: "sorts", on: { click: () => sort(column) } },
      make("bdi", {}, column.heading ?? t(column.name)))
    : t(column.name)));

  function choose(event, number) {
    if (!event.target.closest("a, button") && !String(getSelection())) chooseRun(number);
  }

  function sort(column) {
    sorting.direction = sorting.column === column ? -sorting.direction : column.direction;
    sorting.column = column;
    draw();
  }

  function draw() {
    const { column, direction } = sorting;
    const value = (number) => column.value(runs[number], number);
    const compare = (first, second) => {
      const [a, b] = [value(first), value(second)];
      if (!isKnown(a) || !isKnown(b)) return isKnown(b) - isKnown(a) || placeOf.get(first) - placeOf.get(second);
      return direction * (a < b ? -1 : Number(a > b)) || placeOf.get(first) - placeOf.get(second);
    };
    const sorted = runs.map((_, number) => number).sort(compare);
    body.replaceChildren(...sorted.map((number) => bodies[number]));
    heads.forEach((head, index) => {
      const is = columns[index] === column;
      head.toggleAttribute("aria-sort", is);
      if (is) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    });
  }

  draw();
  follow(body, (number) => bodies.forEach((row, index) => row.classList.toggle("current", index === number)));
  return make("section", { class: "results runs-section" },
    make("h2", {}, t("runs")),
    make("div", { class: "wide" }, make("table", { class: "runs" }, make("thead", {}, make("tr", {}, heads)), body)),
    runs.length > 1 && make("p", { class: "quiet" }, t("runs.note", { n: whole(series.num_comparisons) })));
}
