// The page of one run.

const scoreOf = (pair) => pair.score;

const rules = {
  texts: (pair) => [pair.id, head.categories[pair.category].name, pair.instruction, pair.description,
    ...repliesOf(pair), ...(pair.failures ?? []).map(failureText)],
  score: scoreOf,
  statusOf: (pair) => pair.status,
  firstOrder: "worst",
  orders: {
    worst: by(scoreOf, 1),
    best: by(scoreOf, -1),
    file: (one, two) => one.index - two.index,
    category: (one, two) => one.category - two.category || by(scoreOf, 1)(one, two),
    slowest: by(editSeconds, -1),
    ...(parts.samples ? { spread: by(spread, -1) } : {}),
  },
};

function fields() {
  const overall = head.overall;
  const range = { label: t("score.range"), from: t("score.from"), to: t("score.to"), ends: head.range };
  const counts = ["scored", "edited", "failed", "missing"].map((name) => [name, overall[name]]);
  return {
    statusName: t("status"),
    statuses: [["", t("all.statuses")], ...counts.filter(([, count]) => count > 0).map(([name, n]) =>
      [name, `${t(`status.${name}`)} (${whole(n)})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.${name}`)]),
    range: overall.scored > 0 && range,
  };
}

startPage({
  title: () => `${head.run} · ${t("report.title")}`,
  ratio: usualRatio(pairs.map((pair) => samplesOf(pair)[0]?.size)),
  drawCard,
  describe: describePair,
  picturesOf: (pair) => [sourcePicture(pair), editPictures(pair)[0]],
  rules,
  fields,
  before: (page) => [
    masthead(),
    head.asked.stages.includes("score") && statisticsTable((name) => page.showOnly({ category: name })),
    aspectsSection(),
    varianceSection(),
    agreementSection(page.openPair),
    failuresSection(page.openPair, () => page.showOnly({ status: "failed" })),
    performanceSection(),
    provenanceSection(),
  ],
});
