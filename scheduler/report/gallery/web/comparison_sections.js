// The sections above the cards of a comparison.

const manyTitle = () => t("comparison.many", { n: whole(comparisons.length), first: runs[0].title });

function masthead(choose) {
  const facts = runs.flatMap((run, index) => fact(`${t("run")} ${run.label}`, runFacts(run, page.runs[index])));
  return make("header", { class: "masthead" },
    make("p", { class: "kicker" }, t("comparison.title")),
    make("h1", {}, many ? make("bdi", {}, manyTitle()) : runs.map((run, index) => [
      index ? " · " : "", make("span", {}, make("i", {}, run.label), " ", make("bdi", {}, run.title))])),
    warnings(),
    make("dl", { class: "about" }, many ? [] : facts, fact(t("files"), fileLinks(page.links))),
    page.runs.some((run) => run.samples_per_pair > 1) && make("p", { class: "quiet aside" }, t("sample.first")),
    page.series && runsTable(page.series),
    many && folded("compared.runs", whole(runs.length), make("dl", { class: "about" }, facts), "runs.facts"),
    comparisons.map((comparison) => (many ? foldedVerdict : verdict)(comparison, choose)));
}

// One of many comparisons. What it holds is made when it is first opened.
function foldedVerdict(comparison, choose) {
  const { first, other, overall, worse } = comparison;
  const node = make("details", { class: "folded", id: `versus-${other}` },
    make("summary", {},
      make("h2", {}, t("versus", { first, other })),
      make("span", {}, overall.num_pairs ? `${signedText(overall.mean_difference)} ${intervalText(overall.ci95)}`
        : t("comparison.empty")),
      make("span", { class: "quiet" }, make("bdi", {}, runs[runOf(other)].title)),
      worse && make("span", { class: "status incomplete" }, t("verdict.worse", { limit }))));
  node.addEventListener("toggle", () => node.open && node.childElementCount === 1 && node.append(verdict(comparison, choose)));
  return node;
}

function warnings() {
  const texts = runs.flatMap((run) => run.notes.map((note) => `${run.label}: ${textOf(note)}`));
  texts.push(...comparisons.flatMap((comparison) => (comparison.official?.notes ?? []).map(textOf)));
  return texts.length ? notes(texts) : null;
}

function runFacts(run, { editor, gallery }) {
  const scored = t("run.scored", { scored: whole(run.num_samples), pairs: whole(run.num_pairs) });
  const state = [scored, t(`report.${run.status}`), run.running && t("run.running")].filter(Boolean).join(", ");
  return [modelText(editor), " · ", make("span", { class: "quiet" }, `${run.run}, ${state}`), " · ",
    make("a", { href: gallery }, t("open.run"))];
}

// All runs, the best first, with differences that are corrected for all comparisons of two runs.
function runsTable({ by_step: bySteps, num_comparisons: n, runs: ranked }) {
  const names = ["run", bySteps && "step", "num_samples", "mean", "ci95", "to.best", bySteps && "to.previous"];
  const difference = (found) => make("td", {}, isKnown(found?.mean_difference)
    ? `${signedText(found.mean_difference)} ${intervalText(found.ci95_series)} · p ${pText(found.p_series)}` : NOTHING);
  const row = (run) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, run.title),
      !run.judged_alike && make("span", { class: "status incomplete" }, t("not.comparable"))),
    bySteps && make("td", {}, isKnown(run.step) ? whole(run.step) : NOTHING),
    make("td", {}, `${whole(run.num_scored)} / ${whole(run.num_pairs)}`),
    make("td", { class: "strong" }, scoreText(run.mean)),
    make("td", {}, intervalText(run.ci95)),
    difference(run.best),
    bySteps && difference(run.previous));
  return make("section", { class: "results" },
    make("h2", {}, t("runs")),
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, names.filter(Boolean).map((name) => make("th", { scope: "col" }, t(name))))),
      make("tbody", {}, ranked.map(row)))),
    make("p", { class: "quiet" }, t("runs.corrected", { n: whole(n) })));
}

// One run compared with the first: the result, the settings that differ, the table.
function verdict(comparison, choose) {
  const { first, other, overall } = comparison;
  return make("section", { class: "verdict" },
    !many && make("h2", {}, t("versus", { first, other }), " ",
      comparison.worse && make("span", { class: "status incomplete" }, t("verdict.worse", { limit }))),
    overall.num_pairs === 0 ? make("p", { class: "empty" }, t("comparison.empty")) : make("div", { class: "figures" },
      make("div", { class: "figure main" },
        make("span", { class: "label" }, t("mean.difference")),
        make("span", { class: "value" }, signedText(overall.mean_difference)),
        make("span", { class: "more" }, `${t("ci95")} ${intervalText(overall.ci95)}`)),
      figure(first, scoreText(overall.first_mean), t("mean")),
      figure(other, scoreText(overall.other_mean), t("mean")),
      figure(t("pairs"), whole(overall.num_pairs), ""),
      figure(t("wins"), whole(overall.wins), ""),
      figure(t("ties"), whole(overall.ties), ""),
      figure(t("losses"), whole(overall.losses), ""),
      figure(t("sign.test"), pText(overall.sign_test_p), "")),
    settings(comparison),
    overall.num_pairs > 0 && differencesTable(comparison, choose),
    officialTable(comparison),
    dimensionsTable(comparison));
}

// What is compared beside the score: a row for each, with both values, the difference and its interval.
function furtherTable({ first, other }, rows) {
  return make("div", { class: "wide" }, make("table", {},
    make("thead", {}, make("tr", {}, ["", first, other, t("difference"), t("ci95")].map((name) =>
      make("th", { scope: "col" }, name)))),
    make("tbody", {}, rows.map(([name, ...cells]) => make("tr", {},
      make("th", { scope: "row" }, make("bdi", {}, name)), cells.map((cell) => make("td", {}, cell)))))));
}

function officialTable(comparison) {
  const { official } = comparison;
  if (!official?.numbers.length) return null;
  const signed = (value) => (value > 0 ? `+${numberText(value)}` : numberText(value));
  const row = ([name, before, now, difference, interval]) =>
    [name, numberText(before), numberText(now), signed(difference), numberIntervalText(interval)];
  const shown = mainNumbers(official);
  const { length } = official.numbers;
  return make("div", { class: "results" },
    make("h3", {}, t("official", { protocol: official.protocol })),
    shown.length > 0 && furtherTable(comparison, shown.map(row)),
    make("p", { class: "quiet" }, t("official.compared", { n: whole(official.num_items) })),
    length > shown.length && folded(`official.numbers.${comparison.other}`,
      t("official.numbers.more", { n: whole(length) }), furtherTable(comparison, official.numbers.map(row)),
      "official.numbers"));
}

function dimensionsTable(comparison) {
  const groups = Object.entries(comparison.dimensions);
  return groups.length > 0 && make("div", { class: "results" },
    make("h3", {}, t("dimensions")),
    furtherTable(comparison, groups.map(([name, group]) => [name, scoreText(group.first_mean),
      scoreText(group.other_mean), signedText(group.mean_difference), intervalText(group.ci95)])));
}

function settings(comparison) {
  if (!comparison.settings.length) return make("p", { class: "quiet" }, t("settings.none"));
  return make("div", { class: "settings" },
    make("h3", {}, t("settings")),
    make("ul", {}, comparison.settings.map((line) => make("li", {}, make("bdi", {}, textOf(line))))));
}

function differencesTable(comparison, choose) {
  const { first, other } = comparison;
  const values = new Map();
  for (const pair of comparison.pairs) {
    if (!values.has(pair.category)) values.set(pair.category, []);
    values.get(pair.category).push(pair.difference);
  }
  const all = [...values.values()].flat();
  const most = Math.max(0.01, ...all.map(Math.abs));
  const axis = { range: [-most, most], colour: differenceColour, label: "chart.differences" };
  const row = (name, group, differences) => [
    make("th", { scope: "row" }, name),
    make("td", {}, whole(group.num_pairs)),
    make("td", {}, scoreText(group.first_mean)),
    make("td", {}, scoreText(group.other_mean)),
    make("td", { class: "strong" }, signedText(group.mean_difference)),
    make("td", {}, intervalText(group.ci95)),
    make("td", { class: "spread" }, histogram(differences, group.mean_difference, group.ci95, axis)),
    make("td", {}, whole(group.wins)), make("td", {}, whole(group.ties)), make("td", {}, whole(group.losses)),
    make("td", {}, pText(group.sign_test_p)),
  ];
  const names = [t("category"), t("pairs"), first, other, t("difference"), t("ci95"), null, t("wins"), t("ties"),
    t("losses"), t("sign.test")];
  return make("div", { class: "results" },
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, names.map((name) => name === null
        ? make("th", { scope: "col", class: "of-spread" }, t("spread"),
          make("span", { class: "ends", "aria-hidden": "true" },
            make("span", {}, scoreText(-most)), make("span", {}, signedText(most))))
        : make("th", { scope: "col" }, name)))),
      make("tbody", {}, [...values].map(([name, differences]) => make("tr", {}, row(
        make("button", { type: "button", class: "plain", on: { click: () => choose(name, other) } },
          make("bdi", {}, name)),
        comparison.categories[name], differences)))),
      make("tfoot", {}, make("tr", { class: "total" }, row(t("overall"), comparison.overall, all))))),
    make("p", { class: "quiet" }, t("comparison.note", { first, other })));
}

const MAX_LEFT_OUT = 200;

// The pairs that do not count in some comparison, with the reasons.
function leftOutSection(openPair, show) {
  const leftOut = pairs.filter((pair) => comparisons.some((_, index) => leftOutText(pair, index)));
  if (!leftOut.length) return null;
  const reasons = (pair) => comparisons.map(({ other }, index) => {
    const text = leftOutText(pair, index);
    return text && comparisons.length > 1 ? `${other}: ${text}` : text;
  }).filter(Boolean).join(" · ");
  const more = leftOut.length > MAX_LEFT_OUT
    ? t("failures.more", { n: whole(MAX_LEFT_OUT), all: whole(leftOut.length) }) : null;
  return folded("left.out", t("left.out.more", { n: whole(leftOut.length) }), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      headings(["category", "pair", "reason"]),
      make("tbody", {}, leftOut.slice(0, MAX_LEFT_OUT).map((pair) => make("tr", {},
        make("td", {}, make("bdi", {}, pair.category)),
        make("td", {}, make("button", { type: "button", class: "plain", on: { click: () => openPair(pair) } },
          make("bdi", {}, pair.pair_id))),
        make("td", {}, reasons(pair))))))),
    more && make("p", { class: "quiet" }, more),
    make("p", {}, make("button", { type: "button", class: "plain", on: { click: show } }, t("left_out.show"))),
  ].filter(Boolean));
}
