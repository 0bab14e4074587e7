// Statistics beside the means: dimensions, the parts of the variance, agreement with people.

function meanWithInterval(described) {
  if (!described) return NOTHING;
  const interval = make("span", { class: "quiet beside" }, intervalText(described.ci95));
  return [make("b", {}, scoreText(described.mean)), " ", interval];
}

function dimensionsSection() {
  const names = Object.keys(report.overall.dimensions);
  if (!names.length) return null;
  const groups = [...categories.keys()].map((name) => [name, report.category_statistics[name]])
    .filter(([, group]) => Object.keys(group.dimensions).length);
  const rules = [...new Set(groups.map(([, group]) => group.combine).filter(Boolean))];
  const row = ([label, group]) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, label)),
    names.map((name) => make("td", {},
      meanWithInterval(Object.hasOwn(group.dimensions, name) && group.dimensions[name]))));
  return folded(report.official ? "dimensions" : "aspects", names.join(" · "), [
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, t("category")),
        names.map((name) => make("th", { scope: "col" }, make("bdi", {}, name))))),
      make("tbody", {}, groups.map(row)),
      make("tfoot", {}, row([t("overall"), report.overall])))),
    rules.length > 0 && make("p", { class: "quiet" }, t("aspects.rule", { rules: rules.join(", ") })),
  ].filter(Boolean));
}

function varianceSection() {
  const { variance } = report;
  if (!variance) return null;
  const parts = ["between_pairs", "editing", "judging"].map((name) => [name, variance[name]]);
  const sum = parts.reduce((total, [, part]) => total + (part?.variance ?? 0), 0);
  const name = (key, part) => {
    const names = (part?.includes ?? []).map((included) => t(`includes.${included}`)).join(", ");
    return names ? `${t(`part.${key}`)}, ${t("part.includes", { names })}` : t(`part.${key}`);
  };
  const { samples_per_pair: samples, reward_passes: passes } = variance;
  const counts = { pairs: whole(variance.num_pairs), samples, passes };
  return folded("variance", t("variance.more", counts), [
    make("div", { class: "wide" }, make("table", {},
      headings(["variance.part", "variance.variance", "variance.std", "variance.share"]),
      make("tbody", {}, parts.map(([key, part]) => make("tr", {},
        make("th", { scope: "row" }, name(key, part)),
        make("td", {}, scoreText(part?.variance)),
        make("td", {}, scoreText(part?.std)),
        make("td", {}, part && sum > 0 ? `${Math.round((100 * part.variance) / sum)}%` : NOTHING)))))),
    parts.some(([, part]) => part?.estimate < 0) && make("p", { class: "quiet" }, t("variance.zero")),
    isKnown(variance.se_repeat)
      && make("p", { class: "quiet" }, t("variance.repeat", { value: scoreText(variance.se_repeat) })),
  ].filter(Boolean));
}

function agreementSection(openPair) {
  const { agreement } = report;
  if (!agreement) return null;
  const row = (label, group) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, label)),
    make("td", {}, whole(group.num_pairs)),
    make("td", {}, scoreText(group.spearman.value)), make("td", {}, intervalText(group.spearman.ci95)),
    make("td", {}, scoreText(group.kendall.value)), make("td", {}, intervalText(group.kendall.ci95)),
    make("td", {}, scoreText(group.pearson)));
  const { num_unmatched: unmatched, raters } = agreement;
  const rows = agreement.unmatched.map((row) => pairKey(row) + (isKnown(row.sample) ? ` (${row.sample})` : ""));
  const left = [
    unmatched > 0 && t("agreement.unmatched", { n: whole(unmatched), first: rows.join(", ") }),
    ...["num_blank", "num_unscored", "num_unrated"].map((name) =>
      agreement[name] > 0 && t(`agreement.${name}`, { n: whole(agreement[name]) })),
    raters && t("agreement.raters", { n: raters.num_raters, value: scoreText(raters.mean_spearman) }),
  ].filter(Boolean);
  const summary = { n: whole(agreement.overall.num_pairs), value: scoreText(agreement.overall.spearman.value) };
  return folded("agreement", t("agreement.more", summary), [
    make("div", { class: "wide" }, make("table", {},
      headings(["category", "pairs", "spearman", "ci95", "kendall", "ci95", "pearson"]),
      make("tbody", {}, [...categories.keys()].filter((name) => Object.hasOwn(agreement.categories, name))
        .map((name) => row(name, agreement.categories[name]))),
      make("tfoot", {}, row(t("overall"), agreement.overall)))),
    left.map((line) => make("p", { class: "quiet" }, line)),
    agreement.disagreements.length > 0 && [
      make("h3", {}, t("agreement.disagree")),
      make("div", { class: "wide" }, make("table", {},
        headings(["pair", "score", "human", "rank", "human.rank"]),
        make("tbody", {}, agreement.disagreements.map((pair) => disagreementRow(pair, openPair))))),
    ],
  ].flat().filter(Boolean));
}

function disagreementRow(ranked, openPair) {
  const open = () => openPair(pairs.find((pair) => pairKey(pair) === pairKey(ranked)));
  return make("tr", {},
    make("th", { scope: "row" }, make("button", { type: "button", class: "plain", on: { click: open } },
      make("bdi", {}, ranked.pair_id))),
    make("td", {}, scoreText(ranked.score)), make("td", {}, scoreText(ranked.human_score)),
    make("td", {}, String(ranked.rank)), make("td", {}, String(ranked.human_rank)));
}
