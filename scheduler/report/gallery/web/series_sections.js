// The sections above the cards of a series: its head, and, folded, what could not be compared and what runs took.

function masthead() {
  const best = bestRun === null ? null : runs[bestRun];
  const last = runs.at(-1);
  const seconds = runs.map((run) => run.cost.seconds).filter(isKnown);
  return make("header", { class: "masthead" },
    make("p", { class: "kicker" }, t("series.title")),
    make("h1", {}, make("bdi", {}, page.title)),
    warnings(),
    series.gate && gateLine(series.gate),
    make("div", { class: "figures" },
      best && make("div", { class: "figure main" },
        make("span", { class: "label" }, t("best.mean")),
        make("span", { class: "value" }, scoreText(best.mean)),
        make("span", { class: "more" }, `${t("ci95")} ${intervalText(best.ci95)}`),
        make("span", { class: "more" }, make("bdi", {}, nameOf(best)))),
      series.by_step && last !== best && isKnown(last.mean) && latestFigure(last),
      officialFigure(),
      figure(t("runs"), whole(runs.length), ""),
      figure(t("pairs"), whole(pairs.length), ""),
      seconds.length > 0 && figure(t("cost.all"), secondsText(seconds.reduce((sum, each) => sum + each, 0)), "")),
    make("dl", { class: "about" },
      fact(t("data"), series.benchmark),
      fact(t("protocol"), series.protocol),
      fact(t("files"), fileLinks(page.links))));
}

// The best official number that is usually quoted.
function officialFigure() {
  const value = (run) => own(run.official?.numbers ?? {}, series.main);
  const [first] = runs.filter((run) => isKnown(value(run))).sort((one, other) => value(other) - value(one));
  return first && make("div", { class: "figure" },
    make("span", { class: "label" }, make("bdi", {}, t("best.official", { name: series.main }))),
    make("span", { class: "value" }, numberText(value(first))),
    make("span", { class: "more" }, `${t("ci95")} ${numberIntervalText(first.official.intervals[series.main])}`),
    make("span", { class: "more" }, make("bdi", {}, nameOf(first))));
}

function latestFigure(last) {
  const { best } = last;
  const more = best && isKnown(best.mean_difference) ? t("latest.to.best", { by: signedText(best.mean_difference) }) : "";
  return make("div", { class: "figure" },
    make("span", { class: "label" }, t("latest.mean")), make("span", { class: "value" }, scoreText(last.mean)),
    make("span", { class: "more" }, more), make("span", { class: "more" }, make("bdi", {}, nameOf(last))));
}

// What --fail-if-worse found.
function gateLine({ by, run, other, worse, reason, mean_difference: mean, ci95: interval }) {
  const names = { run: nameOf(runs[run]), other: isKnown(other) ? nameOf(runs[other]) : "", by };
  let text = t("gate.unknown", { ...names, reason });
  if (!isKnown(other)) text = t("gate.alone", names);
  else if (isKnown(worse)) text = t(worse ? "gate.worse" : "gate.passed", names);
  return make("p", { class: worse === true ? "gate worse" : "gate" }, text,
    isKnown(worse) && isKnown(mean) && make("span", { class: "quiet" }, ` ${signedText(mean)} ${intervalText(interval)}`));
}

// What a reader must know first: notes of runs, said once with the runs that have them.
function warnings() {
  const byText = new Map();
  for (const run of runs) {
    for (const note of run.notes) byText.set(textOf(note), [...(byText.get(textOf(note)) ?? []), nameOf(run)]);
  }
  const texts = [...byText].map(([text, titles]) => (titles.length === runs.length ? text : `${nameList(titles)}: ${text}`));
  const apart = runs.filter((run) => run.judged_alike === false).map((run) => nameOf(run));
  if (apart.length) texts.unshift(t("warning.not.comparable", { names: nameList(apart) }));
  const unscored = runs.filter((run) => !isKnown(run.mean)).map((run) => nameOf(run));
  if (unscored.length) texts.unshift(t("warning.no.scores", { names: nameList(unscored) }));
  return texts.length > 0 && notes(texts);
}

const MAX_NAMES = 4;

const nameList = (names) => (names.length > MAX_NAMES
  ? `${names.slice(0, MAX_NAMES).join(", ")} … (${names.length})` : names.join(", "));

function settingsSection() {
  const rows = runs.flatMap((run) => run.settings.map((setting) => [run, setting]));
  if (!rows.length) return null;
  const row = ([run, { kind, name, value, usual }]) => make("tr", {},
    make("td", {}, make("bdi", {}, nameOf(run))), make("td", {}, t(`setting.${kind}`)),
    make("td", {}, make("bdi", {}, name)), make("td", {}, make("code", {}, textOf(value))),
    make("td", {}, make("code", {}, textOf(usual))));
  const other = rows.filter(([, { kind }]) => kind !== "editor");
  return folded("settings", t("settings.n", { n: whole(rows.length) }), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      headings(["run", "setting.kind", "setting.name", "setting.value", "setting.usual"]),
      make("tbody", {}, [...other, ...rows.filter((each) => !other.includes(each))].map(row)))),
  ]);
}

const MAX_LEFT_OUT = 200;

// The pairs that lack a score in some run, or cannot be compared, with the reasons. A run without any score is named in
// the head of the page.
function leftOutSection(openPair) {
  const scored = order.filter((number) => runs[number].num_scored > 0);
  const lacking = pairs.filter((pair) => pair.statuses && scored.some((number) => reasonIn(pair, number)));
  if (!lacking.length) return null;
  const reasons = (pair) => {
    const byReason = new Map();
    for (const number of scored) {
      const reason = reasonIn(pair, number);
      if (reason) byReason.set(reason, [...(byReason.get(reason) ?? []), shortName(runs[number])]);
    }
    return [...byReason].map(([reason, names]) => make("div", {},
      make("b", {}, make("bdi", {}, nameList(names))), ` ${reason}`));
  };
  const row = (pair) => make("tr", {},
    make("td", {}, make("bdi", {}, pair.category)),
    make("td", {}, make("button", { type: "button", class: "plain", on: { click: () => openPair(pair) } },
      make("bdi", {}, pair.pair_id))),
    make("td", { class: "message", dir: "auto" }, reasons(pair)));
  return folded("left.out.series", t("left.out.more", { n: whole(lacking.length) }), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      headings(["category", "pair", "reason"]), make("tbody", {}, lacking.slice(0, MAX_LEFT_OUT).map(row)))),
    lacking.length > MAX_LEFT_OUT && make("p", { class: "quiet" },
      t("failures.more", { n: whole(MAX_LEFT_OUT), all: whole(lacking.length) })),
  ].filter(Boolean));
}

const COSTS = ["seconds", "edit_wall_seconds", "edit_device_seconds", "score_wall_seconds", "score_device_seconds",
  "requests", "prompt_tokens", "completion_tokens"];

function costSection() {
  const known = COSTS.filter((name) => runs.some((run) => isKnown(run.cost[name])));
  if (!known.length) return null;
  const text = (name, value) => (name.endsWith("seconds") ? secondsText(value) : whole(value));
  const sum = (name) => runs.reduce((total, run) => total + (run.cost[name] ?? 0), 0);
  const total = make("tr", {}, make("th", { scope: "row" }, t("sum")),
    known.map((name) => make("td", {}, text(name, sum(name)))));
  return folded("costs", known.includes("seconds") ? secondsText(sum("seconds")) : "", [
    make("div", { class: "wide" }, make("table", {},
      headings(["run", ...known.map((name) => `cost.${name}`)]),
      make("tbody", {}, order.map((number) => make("tr", {},
        make("th", { scope: "row" }, make("bdi", {}, runs[number].title)),
        known.map((name) => make("td", {}, text(name, runs[number].cost[name])))))),
      make("tfoot", {}, total))),
  ], "metrics.cost");
}
