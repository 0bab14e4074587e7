// What stands above the cards of a run: what it is, its statistics, and, folded away, where they come from.

function masthead() {
  const overall = head.overall;
  const scoring = head.asked.stages.includes("score");
  return make("header", { class: "masthead" },
    make("p", { class: "kicker" }, t("report.title")),
    make("h1", {}, head.run, " ",
      make("span", { class: `status ${head.status.toLowerCase()}` }, t(`report.${head.status}`))),
    head.notes.length > 0 && notes(head.notes),
    make("div", { class: "figures" },
      scoring && make("div", { class: "figure main" },
        make("span", { class: "label" }, t("overall.mean")),
        make("span", { class: "value" }, scoreText(overall.mean)),
        make("span", { class: "more" }, `${t("ci95")} ${intervalText(overall.ci95)}`),
        make("span", { class: "more" }, t("overall.mean.more"))),
      scoring && figure(t("macro.mean"), scoreText(head.macro_mean), t("macro.mean.more")),
      figure(t("pairs"), whole(overall.pairs), ""),
      scoring && figure(t("status.scored"), whole(overall.scored), ""),
      overall.edited > 0 && figure(t("status.edited"), whole(overall.edited), ""),
      figure(t("status.failed"), whole(overall.failed), "", overall.failed > 0),
      figure(t("status.missing"), whole(overall.missing), "", overall.missing > 0)),
    make("dl", { class: "about" },
      fact(t("editor"), modelText(head.models.editor)),
      scoring ? fact(t("reward"), modelText(head.models.reward)) : [],
      fact(t("data"), head.data),
      fact(t("started"), head.started),
      head.asked.samples > 1 ? fact(t("samples"), whole(head.asked.samples)) : [],
      head.asked.passes > 1 ? fact(t("passes"), whole(head.asked.passes)) : [],
      fact(t("files"), fileLinks(head.links))));
}

function statisticsTable(choose) {
  const byCategory = head.categories.map(() => []);
  const all = [];
  for (const pair of pairs) {
    if (pair.score === undefined) continue;
    byCategory[pair.category].push(pair.score);
    all.push(pair.score);
  }
  const row = (name, group, scores, total = false) => make("tr", { class: total ? "total" : "" },
    make("th", { scope: "row" }, name),
    make("td", { class: "n" }, `${whole(group.scored)} / ${whole(group.pairs)}`),
    make("td", { class: "strong" }, scoreMark(group.mean)),
    make("td", {}, intervalText(group.ci95)),
    head.metrics.map((metric) => make("td", {}, scoreText(group[metric]))),
    make("td", { class: "spread" }, histogram(scores, group)),
    make("td", { class: group.failed ? "warns" : "" }, whole(group.failed)),
    make("td", { class: group.missing ? "warns" : "" }, whole(group.missing)));
  const named = head.categories.map((group, index) => row(
    make("button", {
      type: "button", class: "plain", title: t("show.category"), on: { click: () => choose(group.name) },
    }, make("bdi", {}, group.name)),
    group, byCategory[index]));
  const headings = ["category", "n", "mean", "ci95", ...head.metrics, "spread", "status.failed", "status.missing"];
  return make("section", { class: "results" },
    make("h2", {}, t("results")),
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, headings.map((name) => make("th", { scope: "col", class: `of-${name}` }, t(name),
        name === "spread" && make("span", { class: "ends", "aria-hidden": "true" },
          make("span", {}, String(head.range[0])), make("span", {}, String(head.range[1]))))))),
      make("tbody", {}, named),
      make("tfoot", {}, row(t("overall"), head.overall, all, true)))),
    make("p", { class: "quiet" }, t("results.note")));
}

const MOST_FAILURES = 200;

function failuresSection(openPair, showFailed) {
  const all = pairs.flatMap((pair) => (pair.failures ?? []).map((failure) => ({ pair, failure })));
  if (!all.length) return null;
  const kinds = new Map();
  for (const { failure } of all) {
    const kind = `${t(`stage.${failure.stage}`)}, ${failure.kind}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const counts = [...kinds].sort((one, two) => two[1] - one[1]).map(([kind, count]) => `${kind}: ${whole(count)}`);
  const rows = all.slice(0, MOST_FAILURES).map(({ pair, failure }) => make("tr", {},
    make("td", {}, make("bdi", {}, head.categories[pair.category].name)),
    make("td", {}, make("button", { type: "button", class: "plain", on: { click: () => openPair(pair) } },
      make("bdi", {}, pair.id))),
    make("td", {}, t(`stage.${failure.stage}`)),
    make("td", {}, failure.kind),
    make("td", { class: "message", dir: "auto" }, textOf(failure.message))));
  const more = all.length > MOST_FAILURES
    ? t("failures.more", { n: whole(MOST_FAILURES), all: whole(all.length) }) : null;
  return folded("failures", counts.join(" · "), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      make("thead", {}, make("tr", {}, ["category", "pair", "stage", "kind", "message"].map((name) =>
        make("th", { scope: "col" }, t(name))))),
      make("tbody", {}, rows))),
    more && make("p", { class: "quiet" }, more),
    make("p", {}, make("button", { type: "button", class: "plain", on: { click: showFailed } }, t("failures.show"))),
  ]);
}

function performanceSection() {
  const performance = head.performance;
  const stages = Object.entries(performance.stages).filter(([, stage]) => stage.workers !== null);
  if (!stages.length) return null;
  const summary = stages.map(([name, stage]) => `${t(`stage.${name}`)} ${secondsText(stage.wall_seconds)}`).join(" · ");
  return folded("performance", summary, [
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, ["stage", "wall", "device.time", "workers", "efficiency"].map((name) =>
        make("th", { scope: "col" }, t(name))))),
      make("tbody", {}, stages.map(([name, stage]) => make("tr", {},
        make("th", { scope: "row" }, t(`stage.${name}`)),
        make("td", {}, secondsText(stage.wall_seconds)),
        make("td", {}, secondsText(stage.device_seconds)),
        make("td", {}, whole(stage.workers)),
        make("td", {}, shareText(stage.efficiency))))))),
    make("dl", { class: "facts" },
      fact(t("rounds"), whole(performance.rounds)),
      fact(t("barrier.wait"), secondsText(performance.barrier_wait_seconds)),
      performance.barrier_loss_in_file_order === null
        ? [] : fact(t("barrier.loss"), secondsText(performance.barrier_loss_in_file_order)),
      fact(t("switches"), `${whole(performance.model_switches)} (${secondsText(performance.model_switch_seconds)})`)),
  ]);
}

function provenanceSection() {
  const methods = Object.entries(head.methods).map(([name, count]) => `${name}: ${whole(count)}`).join(", ");
  return folded("provenance", t("provenance.more"),
    tree({ ...head.provenance, ...(methods ? { scoring_methods: methods } : {}) }));
}

// Nested values as nested lists; those with many parts can be folded.
function tree(values) {
  return make("dl", { class: "tree" }, Object.entries(values).flatMap(([name, value]) => branch(name, value)));
}

function branch(name, value) {
  if (Array.isArray(value) && value.some((item) => item !== null && typeof item === "object")) {
    return branch(name, Object.fromEntries(value.map((item, index) => [String(index), item])));
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    if (!Object.keys(value).length) return fact(name, NOTHING);
    return make("div", { class: "branch" }, make("details", {}, make("summary", {}, name), tree(value)));
  }
  const text = Array.isArray(value) ? value.join(", ") : String(value ?? NOTHING);
  return [make("dt", {}, name), make("dd", {}, make("bdi", {}, text === "" ? NOTHING : text))];
}
