// The page of a comparison of runs.

stageChoice.left = 1;
stageChoice.right = 2;

const rules = {
  texts: (pair) => [pair.pair_id, pair.category, pair.instruction, pair.description,
    ...pair.runs.flatMap((result) => [result?.response, result?.message])],
  score: differenceOf,
  statusOf: outcomeOf,
  firstOrder: "disagreement",
  orders: {
    disagreement: by((pair) => (isKnown(differenceOf(pair)) ? Math.abs(differenceOf(pair)) : null), -1),
    losses: by(differenceOf, 1),
    gains: by(differenceOf, -1),
    file: inFileOrder,
    category: by(categoryPlace, 1),
  },
};

function fields() {
  const { num_pairs, wins, ties, losses } = comparisons[current()].overall;
  const counts = Object.entries({ win: wins, tie: ties, loss: losses, left_out: pairs.length - num_pairs });
  const values = comparisons[current()].pairs.map((pair) => pair.difference);
  const others = comparisons.map(({ other }, index) => [index ? other : "", other]);
  return {
    statusName: t("outcome"),
    statuses: [["", t("all.statuses")], ...counts.filter(([, count]) => count > 0).map(([name, n]) =>
      [name, `${t(`outcome.${name}`)} (${whole(n)})`])],
    sorts: Object.keys(rules.orders).map((name) => [name === rules.firstOrder ? "" : name, t(`sort.${name}`)]),
    range: values.length > 0 && {
      label: t("difference"), from: t("difference.from"), to: t("difference.to"),
      ends: [scoreText(Math.min(...values)), scoreText(Math.max(...values))],
    },
    others: others.length > 1 && others,
  };
}

startPage({
  title: () => `${runs.map((run) => run.title).join(" / ")} · ${t("comparison.title")}`,
  narrowest: runs.length > 2 ? 560 : 460,
  ratio: usualRatio(pairs.flatMap((pair) => pair.runs.map((result) => result?.size))),
  drawCard,
  describe: describePair,
  picturesOf: comparedPictures,
  rules,
  fields,
  // The compared run decides the content of the cards.
  redrawOn: "other",
  before: ({ showOnly, openPair }) => {
    const choose = (category, other) => showOnly({ category, other: other === comparisons[0].other ? "" : other });
    return [masthead(choose), leftOutSection(openPair, () => showOnly({ status: "left_out" }))];
  },
});
