// The page of one run.

const scoreOf = (pair) => pair.score;
// The value that the view filters and sorts by.
const valueOf = (pair) => (dimensions.has(view.by) ? dimensionOf(pair, view.by) : pair.score);

const rules = {
  texts: (pair) => [pair.pair_id, pair.category, pair.task, pair.instruction, pair.description, pair.reference,
    ...responsesOf(pair), ...failuresOf(pair).map(failureText)],
  score: valueOf,
  statusOf: (pair) => pair.status,
  firstOrder: "worst",
  orders: {
    worst: by(valueOf, 1),
    best: by(valueOf, -1),
    file: inFileOrder,
    category: by(categoryPlace, 1, by(valueOf, 1)),
    slowest: by(editSeconds, -1),
    ...(parts.samples ? { spread: by(spread, -1) } : {}),
  },
};

function fields() {
  const { num_samples, num_edited, num_failed, num_missing } = report.overall;
  const chosen = dimensions.get(view.by);
  const range = {
    label: chosen ? view.by : t("score.range"), from: t("score.from"), to: t("score.to"),
    ends: chosen ? chosen.range : page.range,
  };
  const names = [...dimensions.keys()];
  const counts = Object.entries({ scored: num_samples, edited: num_edited, failed: num_failed, missing: num_missing });
  return {
    statusName: t("status"),
    statuses: [["", t("all.statuses")], ...counts.filter(([, count]) => count > 0).map(([name, n]) =>
      [name, `${t(`status.${name}`)} (${whole(n)})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.${name}`)]),
    values: names.length > 0 && [["", t("score")], ...names.map((name) => [name, name])],
    range: (num_samples > 0 || names.length > 0) && range,
  };
}

startPage({
  title: () => `${page.title} · ${page.run} · ${t("report.title")}`,
  ratio: usualRatio(pairs.map((pair) => pair.samples[0]?.size)),
  drawCard,
  describe: describePair,
  picturesOf: (pair) => [sourcePicture(pair), editPictures(pair)[0]],
  rules,
  fields,
  // The value that is filtered by has its own scale in the controls.
  redrawOn: ["by"],
  before: ({ showOnly, openPair }) => [
    masthead(),
    report.stages.includes("score") && statisticsTable((name) => showOnly({ category: name })),
    dimensionsSection(),
    varianceSection(),
    agreementSection(openPair),
    failuresSection(openPair, () => showOnly({ status: "failed" })),
    performanceSection(),
    provenanceSection(),
  ],
});
