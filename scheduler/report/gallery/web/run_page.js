// The page of one run.

const scoreOf = (pair) => pair.score;

const rules = {
  texts: (pair) => [pair.pair_id, pair.category, pair.instruction, pair.description, ...responsesOf(pair),
    ...failuresOf(pair).map(failureText)],
  score: scoreOf,
  statusOf: (pair) => pair.status,
  firstOrder: "worst",
  orders: {
    worst: by(scoreOf, 1),
    best: by(scoreOf, -1),
    file: inFileOrder,
    category: by(categoryPlace, 1, by(scoreOf, 1)),
    slowest: by(editSeconds, -1),
    ...(parts.samples ? { spread: by(spread, -1) } : {}),
  },
};

function fields() {
  const { num_samples, num_edited, num_failed, num_missing } = report.overall;
  const range = { label: t("score.range"), from: t("score.from"), to: t("score.to"), ends: page.range };
  const counts = Object.entries({ scored: num_samples, edited: num_edited, failed: num_failed, missing: num_missing });
  return {
    statusName: t("status"),
    statuses: [["", t("all.statuses")], ...counts.filter(([, count]) => count > 0).map(([name, n]) =>
      [name, `${t(`status.${name}`)} (${whole(n)})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.${name}`)]),
    range: num_samples > 0 && range,
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
  before: ({ showOnly, openPair }) => [
    masthead(),
    report.stages.includes("score") && statisticsTable((name) => showOnly({ category: name })),
    aspectsSection(),
    varianceSection(),
    agreementSection(openPair),
    failuresSection(openPair, () => showOnly({ status: "failed" })),
    performanceSection(),
    provenanceSection(),
  ],
});
