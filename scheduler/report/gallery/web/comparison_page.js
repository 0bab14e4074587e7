// The page of a comparison of runs.

stageChoice.left = 1;
stageChoice.right = 2;

const rules = {
  texts: (pair) => [pair.pair_id, pair.category, pair.instruction, pair.description,
    ...pair.runs.flatMap((result) => [result?.response, result?.message])],
  score: valueOf,
  statusOf: outcomeOf,
  firstOrder: "disagreement",
  orders: {
    disagreement: by((pair) => (isKnown(valueOf(pair)) ? Math.abs(valueOf(pair)) : null), -1),
    losses: by(valueOf, 1),
    gains: by(valueOf, -1),
    file: inFileOrder,
    category: by(categoryPlace, 1),
  },
};

function fields() {
  const { num_pairs, wins, ties, losses } = comparisons[current()].overall;
  const counts = Object.entries({ win: wins, tie: ties, loss: losses, left_out: pairs.length - num_pairs });
  const values = pairs.map(valueOf).filter(isKnown);
  const others = comparisons.map(({ other }, index) => [index ? other : "", `${other}: ${runs[runOf(other)].title}`]);
  return {
    statusName: t("outcome"),
    statuses: [["", t("all.statuses")], ...counts.filter(([, count]) => count > 0).map(([name, n]) =>
      [name, `${t(`outcome.${name}`)} (${whole(n)})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.${name}`)]),
    range: values.length > 0 && {
      label: dimensions.has(view.by) ? view.by : t("difference"), from: t("difference.from"), to: t("difference.to"),
      ends: [scoreText(Math.min(...values)), scoreText(Math.max(...values))],
    },
    values: dimensions.size > 0 && [["", t("score")], ...[...dimensions.keys()].map((name) => [name, name])],
    others: others.length > 1 && others,
  };
}

startPage({
  title: () => `${many ? manyTitle() : runs.map((run) => run.title).join(" / ")} · ${t("comparison.title")}`,
  narrowest: () => (runs.length > 2 ? 560 : 460),
  ratio: usualRatio(pairs.flatMap((pair) => pair.runs.map((result) => result?.size))),
  drawCard,
  describe: describePair,
  picturesOf: comparedPictures,
  rules,
  fields,
  // The compared run and the value decide the content of the cards.
  redrawOn: ["other", "by"],
  before: ({ showOnly, openPair }) => {
    const choose = (category, other) => showOnly({ category, other: other === comparisons[0].other ? "" : other });
    return [masthead(choose), leftOutSection(openPair, () => showOnly({ status: "left_out" }))];
  },
});
