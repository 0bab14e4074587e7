// The page of a comparison of runs.

stageChoice.left = 1;
stageChoice.right = 2;

const rules = {
  texts: (pair) => [pair.id, head.categories[pair.category].name, pair.instruction, pair.description,
    ...pair.runs.flatMap((part) => [part?.reply, part?.failure])],
  score: differenceOf,
  statusOf: outcomeOf,
  firstOrder: "disagreement",
  orders: {
    disagreement: by((pair) => (differenceOf(pair) === null ? null : Math.abs(differenceOf(pair))), -1),
    losses: by(differenceOf, 1),
    gains: by(differenceOf, -1),
    file: (one, two) => one.index - two.index,
    category: (one, two) => one.category - two.category || one.index - two.index,
  },
};

function fields() {
  const overall = head.against[against()].overall;
  const left = pairs.length - overall.pairs;
  const outcomes = [["better", overall.better], ["same", overall.same], ["worse", overall.worse], ["left_out", left]];
  const values = pairs.map(differenceOf).filter((value) => value !== null);
  const others = head.against.map((one) => head.runs[one.other].label).map((label, i) => [i ? label : "", label]);
  return {
    statusName: t("outcome"),
    statuses: [["", t("all.statuses")], ...outcomes.filter(([, count]) => count > 0).map(([name, n]) =>
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
  title: () => `${head.runs.map((run) => run.run).join(" / ")} · ${t("comparison.title")}`,
  narrowest: head.runs.length > 2 ? 560 : 460,
  ratio: usualRatio(pairs.flatMap((pair) => pair.runs.map((part) => part?.size))),
  drawCard,
  describe: describePair,
  picturesOf: comparedPictures,
  rules,
  fields,
  // Which run is compared decides what the cards show.
  redrawOn: "other",
  before: (page) => {
    const choose = (category, other) =>
      page.showOnly({ category, other: other === head.runs[head.against[0].other].label ? "" : other });
    return [masthead(choose), leftOutSection(page.openPair, () => page.showOnly({ status: "left_out" }))];
  },
});
