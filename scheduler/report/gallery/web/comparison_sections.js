// What stands above the cards of a comparison.

function masthead(choose) {
  return make("header", { class: "masthead" },
    make("p", { class: "kicker" }, t("comparison.title")),
    make("h1", {}, head.runs.map((run, i) => [
      i ? " · " : "", make("span", {}, make("i", {}, run.label), " ", run.run)]).flat()),
    warnings(),
    make("dl", { class: "about" },
      head.runs.flatMap((run) => fact(`${t("run")} ${run.label}`, runFacts(run))),
      fact(t("files"), fileLinks(head.links))),
    head.runs.some((run) => run.samples > 1) && make("p", { class: "quiet aside" }, t("sample.first")),
    head.against.map((one, index) => verdict(one, index, choose)));
}

function warnings() {
  const found = head.runs.flatMap((run) => run.notes.map((note) => `${run.label}: ${textOf(note)}`));
  return found.length ? notes(found) : null;
}

function runFacts(run) {
  const words = [t("run.scored", { scored: whole(run.scored), pairs: whole(run.pairs) }), t(`report.${run.status}`),
    run.running && t("run.running")].filter(Boolean).join(", ");
  return [modelText(run.models.editor), " · ", make("span", { class: "quiet" }, words), " · ",
    make("a", { href: run.page }, t("open.run"))];
}

// One run against the first: how it ends, what differs in the settings, the table.
function verdict(one, index, choose) {
  const first = head.runs[0].label;
  const other = head.runs[one.other].label;
  const overall = one.overall;
  const values = pairs.map((pair) => pair.differences[index]).filter((value) => value !== null);
  return make("section", { class: "verdict" },
    make("h2", {}, t("versus", { first, other }), " ",
      one.worse && make("span", { class: "status incomplete" }, t("verdict.worse", { limit: head.limit }))),
    values.length === 0 ? make("p", { class: "empty" }, t("comparison.empty")) : make("div", { class: "figures" },
      make("div", { class: "figure main" },
        make("span", { class: "label" }, t("mean.difference")),
        make("span", { class: "value" }, signedText(overall.mean)),
        make("span", { class: "more" }, `${t("ci95")} ${intervalText(overall.ci95)}`)),
      figure(first, scoreText(overall.first), t("mean")),
      figure(other, scoreText(overall.other), t("mean")),
      figure(t("pairs"), whole(overall.pairs), ""),
      figure(t("better"), whole(overall.better), ""),
      figure(t("same"), whole(overall.same), ""),
      figure(t("worse"), whole(overall.worse), ""),
      figure(t("sign.test"), pText(overall.p), "")),
    settings(one),
    values.length > 0 && differencesTable(one, index, first, other, choose));
}

function settings(one) {
  if (!one.settings.length) return make("p", { class: "quiet" }, t("settings.none"));
  return make("div", { class: "settings" },
    make("h3", {}, t("settings")),
    make("ul", {}, one.settings.map((line) => make("li", {}, make("bdi", {}, textOf(line))))));
}

function pText(p) {
  if (p === null) return NOTHING;
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

function differencesTable(one, index, first, other, choose) {
  const values = new Map(one.categories.map((group) => [group.name, []]));
  const all = [];
  for (const pair of pairs) {
    const difference = pair.differences[index];
    if (difference === null) continue;
    values.get(head.categories[pair.category].name).push(difference);
    all.push(difference);
  }
  const most = Math.max(0.01, ...all.map(Math.abs));
  const axis = { range: [-most, most], colour: differenceColour, label: "chart.differences" };
  const row = (name, group, differences) => [
    make("th", { scope: "row" }, name),
    make("td", {}, whole(group.pairs)),
    make("td", {}, scoreText(group.first)),
    make("td", {}, scoreText(group.other)),
    make("td", { class: "strong" }, signedText(group.mean)),
    make("td", {}, intervalText(group.ci95)),
    make("td", { class: "spread" }, histogram(differences, group, axis)),
    make("td", {}, whole(group.better)), make("td", {}, whole(group.same)), make("td", {}, whole(group.worse)),
    make("td", {}, pText(group.p)),
  ];
  const names = [t("category"), t("pairs"), first, other, t("difference"), t("ci95"), null, t("better"), t("same"),
    t("worse"), t("sign.test")];
  return make("div", { class: "results" },
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, names.map((name) => name === null
        ? make("th", { scope: "col", class: "of-spread" }, t("spread"),
          make("span", { class: "ends", "aria-hidden": "true" },
            make("span", {}, scoreText(-most)), make("span", {}, signedText(most))))
        : make("th", { scope: "col" }, name)))),
      make("tbody", {}, one.categories.map((group) => make("tr", {}, row(
        make("button", { type: "button", class: "plain", on: { click: () => choose(group.name, other) } },
          make("bdi", {}, group.name)),
        group, values.get(group.name))))),
      make("tfoot", {}, make("tr", { class: "total" }, row(t("overall"), one.overall, all))))),
    make("p", { class: "quiet" }, t("comparison.note", { first, other })));
}

const MOST_LEFT_OUT = 200;

// The pairs that one comparison or another leaves out, with the reason in each.
function leftOutSection(openPair, show) {
  const found = pairs.filter((pair) => pair.left_out.some((reason) => reason !== null));
  if (!found.length) return null;
  const first = head.runs[0].label;
  const why = (pair) => pair.left_out.map((reason, index) => {
    const other = head.runs[head.against[index].other].label;
    const text = reason && t(`left_out.${reason}`, { first, other });
    return text && head.against.length > 1 ? `${other}: ${text}` : text;
  }).filter(Boolean).join(" · ");
  const more = found.length > MOST_LEFT_OUT
    ? t("failures.more", { n: whole(MOST_LEFT_OUT), all: whole(found.length) }) : null;
  return folded("left.out", t("left.out.more", { n: whole(found.length) }), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      headings(["category", "pair", "reason"]),
      make("tbody", {}, found.slice(0, MOST_LEFT_OUT).map((pair) => make("tr", {},
        make("td", {}, make("bdi", {}, head.categories[pair.category].name)),
        make("td", {}, make("button", { type: "button", class: "plain", on: { click: () => openPair(pair) } },
          make("bdi", {}, pair.id))),
        make("td", {}, why(pair))))))),
    more && make("p", { class: "quiet" }, more),
    make("p", {}, make("button", { type: "button", class: "plain", on: { click: show } }, t("left_out.show"))),
  ].filter(Boolean));
}
