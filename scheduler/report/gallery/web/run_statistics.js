// What a run's scores say beside their means: aspects, the parts of their variance, agreement with people.

function meanWithInterval(described) {
  if (!described) return NOTHING;
  const interval = make("span", { class: "quiet beside" }, intervalText(described.ci95));
  return [make("b", {}, scoreText(described.mean)), " ", interval];
}

function aspectsSection() {
  const all = { ...head.overall, name: t("overall"), total: true };
  const groups = [...head.categories, all].filter((group) => group.aspects);
  if (!groups.length) return null;
  const names = [...new Set(groups.flatMap((group) => Object.keys(group.aspects.by_name)))];
  const rules = [...new Set(groups.map((group) => group.aspects.combine).filter(Boolean))];
  const row = (group) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, group.name)),
    names.map((name) => make("td", {}, meanWithInterval(group.aspects.by_name[name]))));
  return folded("aspects", names.join(" · "), [
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, t("category")),
        names.map((name) => make("th", { scope: "col" }, make("bdi", {}, name))))),
      make("tbody", {}, groups.filter((group) => !group.total).map(row)),
      make("tfoot", {}, groups.filter((group) => group.total).map(row)))),
    rules.length > 0 && make("p", { class: "quiet" }, t("aspects.rule", { rules: rules.join(", ") })),
  ].filter(Boolean));
}

function varianceSection() {
  const variance = head.variance;
  if (!variance) return null;
  const parts = Object.entries(variance.parts);
  const sum = parts.reduce((total, [, part]) => total + (part?.variance ?? 0), 0);
  const name = (key, part) => {
    const names = (part?.includes ?? []).map((one) => t(`includes.${one}`)).join(", ");
    return names ? `${t(`part.${key}`)}, ${t("part.includes", { names })}` : t(`part.${key}`);
  };
  const counts = { pairs: whole(variance.pairs), samples: variance.samples, passes: variance.passes };
  return folded("variance", t("variance.more", counts), [
    make("div", { class: "wide" }, make("table", {},
      headings(["variance.part", "variance.variance", "variance.std", "variance.share"]),
      make("tbody", {}, parts.map(([key, part]) => make("tr", {},
        make("th", { scope: "row" }, name(key, part)),
        make("td", {}, scoreText(part?.variance)),
        make("td", {}, scoreText(part?.std)),
        make("td", {}, part && sum > 0 ? `${Math.round((100 * part.variance) / sum)}%` : NOTHING)))))),
    parts.some(([, part]) => part?.below_zero) && make("p", { class: "quiet" }, t("variance.zero")),
    variance.se_repeat !== null
      && make("p", { class: "quiet" }, t("variance.repeat", { value: scoreText(variance.se_repeat) })),
  ].filter(Boolean));
}

function agreementSection(openPair) {
  const agreement = head.agreement;
  if (!agreement) return null;
  const row = (label, group) => make("tr", {},
    make("th", { scope: "row" }, make("bdi", {}, label)),
    make("td", {}, whole(group.pairs)),
    make("td", {}, scoreText(group.spearman.value)), make("td", {}, intervalText(group.spearman.ci95)),
    make("td", {}, scoreText(group.kendall.value)), make("td", {}, intervalText(group.kendall.ci95)),
    make("td", {}, scoreText(group.pearson)));
  const unmatched = agreement.unmatched;
  const left = [
    unmatched.count > 0 && t("agreement.unmatched", { n: whole(unmatched.count), first: unmatched.first.join(", ") }),
    ...["blank", "unscored", "unrated"].map((name) =>
      agreement[name] > 0 && t(`agreement.${name}`, { n: whole(agreement[name]) })),
    agreement.raters
      && t("agreement.raters", { n: agreement.raters.count, value: scoreText(agreement.raters.spearman) }),
  ].filter(Boolean);
  const summary = { n: whole(agreement.overall.pairs), value: scoreText(agreement.overall.spearman.value) };
  return folded("agreement", t("agreement.more", summary), [
    make("div", { class: "wide" }, make("table", {},
      headings(["category", "pairs", "spearman", "ci95", "kendall", "ci95", "pearson"]),
      make("tbody", {}, agreement.categories.map((group) => row(group.name, group))),
      make("tfoot", {}, row(t("overall"), agreement.overall)))),
    left.map((line) => make("p", { class: "quiet" }, line)),
    agreement.disagreements.length > 0 && [
      make("h3", {}, t("agreement.disagree")),
      make("div", { class: "wide" }, make("table", {},
        headings(["pair", "score", "human", "rank", "human.rank"]),
        make("tbody", {}, agreement.disagreements.map((one) => disagreement(one, openPair))))),
    ],
  ].flat().filter(Boolean));
}

function disagreement(one, openPair) {
  const pair = pairs.find((each) => each.category === one.category && each.id === one.id);
  return make("tr", {},
    make("th", { scope: "row" }, make("button", {
      type: "button", class: "plain", disabled: !pair, on: { click: () => openPair(pair) },
    }, make("bdi", {}, one.id))),
    make("td", {}, scoreText(one.score)), make("td", {}, scoreText(one.human)),
    make("td", {}, String(one.rank)), make("td", {}, String(one.human_rank)));
}
