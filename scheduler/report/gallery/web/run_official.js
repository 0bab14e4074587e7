// The benchmark's own numbers, above everything else, and whether they can be compared with published ones.

function officialSection(official) {
  const { main, numbers, deviations } = official;
  const [first, ...beside] = mainNumbers(official);
  return make("section", { class: "official" },
    make("h2", {}, t("official", { protocol: official.protocol }), " ",
      make("span", { class: official.comparable ? "status" : "status incomplete" },
        t(official.comparable ? "official.comparable" : "official.not.comparable"))),
    make("div", { class: "figures" },
      first && officialFigure(first, true), beside.map((number) => officialFigure(number, false))),
    deviations.length > 0 && make("ul", { class: official.comparable ? "deviations" : "notes" },
      deviations.map((sentence) => make("li", {}, textOf(sentence)))),
    folded("official.numbers", t("official.numbers.more", { n: whole(numbers.length) }), [
      make("div", { class: "wide" }, make("table", {},
        headings(["official.number", "official.value", "ci95"]),
        make("tbody", {}, numbers.map(([name, value, interval]) => make("tr", {},
          make("th", { scope: "row" }, make("bdi", {}, name)),
          make("td", { class: name === main ? "strong" : "" }, numberText(value)),
          make("td", {}, numberIntervalText(interval))))))),
      make("p", { class: "quiet" }, t("official.note")),
    ]),
    folded("official.how", t("official.how.more"), officialFacts(official)));
}

function officialFigure([name, value, interval], main) {
  return make("div", { class: main ? "figure main" : "figure" },
    make("span", { class: "label" }, make("bdi", {}, name)),
    make("span", { class: "value" }, numberText(value)),
    make("span", { class: "more" }, interval ? `${t("ci95")} ${numberIntervalText(interval)}` : ""));
}

function officialFacts(official) {
  const { judge } = official;
  const settings = Object.entries(judge.parameters).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const without = Object.entries(official.without_score).map(([kind, count]) => `${kind}: ${whole(count)}`);
  const scored = t("official.scored", { n: whole(official.num_scored), all: whole(official.num_items) });
  const answered = judge.answered.map((each) => [each.model ?? NOTHING,
    each.system_fingerprint && `(${each.system_fingerprint})`, `× ${whole(each.num_answers)}`].filter(Boolean).join(" "));
  return make("dl", { class: "facts" },
    fact(t("official.version"), official.version),
    fact(t("official.commit"), official.commit),
    fact(t("official.judge"), [judge.model, judge.type, ...settings].filter(Boolean).join(" · ")),
    fact(t("official.prescribed"), judge.prescribed.join(", ")),
    fact(t("answered.by"), answered.join(", ")),
    fact(t("official.items"), [scored, ...without].join(" · ")),
    fact(t("official.full"), isKnown(official.num_full) ? whole(official.num_full) : null),
    Object.entries(official.files).map(([path, sha256]) => fact(make("bdi", {}, path), make("code", {}, sha256))));
}
