// The sections above the cards of a run: its head, its statistics, and, folded, the details.

function masthead() {
  const { overall, provenance } = report;
  const scoring = report.stages.includes("score");
  return make("header", { class: "masthead" },
    make("p", { class: "kicker" }, t("report.title")),
    make("h1", {}, make("bdi", {}, page.title), " ",
      make("span", { class: `status ${report.status.toLowerCase()}` }, t(`report.${report.status}`))),
    report.notes.length > 0 && notes(report.notes),
    report.official && officialSection(report.official),
    make("div", { class: "figures" },
      scoring && make("div", { class: report.official ? "figure" : "figure main" },
        make("span", { class: "label" }, t("overall.mean")),
        make("span", { class: "value" }, scoreText(overall.mean)),
        make("span", { class: "more" }, `${t("ci95")} ${intervalText(overall.ci95)}`),
        make("span", { class: "more" }, t("overall.mean.more"))),
      scoring && figure(t("macro.mean"), scoreText(overall.macro_mean), t("macro.mean.more")),
      figure(t("pairs"), whole(overall.num_pairs), ""),
      scoring && figure(t("status.scored"), whole(overall.num_samples), ""),
      overall.num_edited > 0 && figure(t("status.edited"), whole(overall.num_edited), ""),
      figure(t("status.failed"), whole(overall.num_failed), "", overall.num_failed > 0),
      figure(t("status.missing"), whole(overall.num_missing), "", overall.num_missing > 0)),
    make("dl", { class: "about" },
      fact(t("editor"), modelText(provenance.editor)),
      scoring ? fact(t("reward"), modelText(provenance.reward)) : [],
      fact(t("data"), textIn(provenance.data?.path)),
      fact(t("run"), page.run),
      fact(t("started"), textIn(provenance.started)),
      report.samples_per_pair > 1 ? fact(t("samples"), whole(report.samples_per_pair)) : [],
      report.reward_passes > 1 ? fact(t("passes"), whole(report.reward_passes)) : [],
      fact(t("files"), fileLinks(page.links))));
}

// A value of the manifest, which may have any form.
function textIn(value) {
  return isKnown(value) ? String(value) : null;
}

function statisticsTable(choose) {
  const scores = new Map([...categories.keys()].map((name) => [name, []]));
  for (const pair of pairs) if (isKnown(pair.score)) scores.get(pair.category).push(pair.score);
  const row = (name, group, values, total = false) => make("tr", { class: total ? "total" : "" },
    make("th", { scope: "row" }, name),
    make("td", { class: "num_samples" }, `${whole(group.num_samples)} / ${whole(group.num_pairs)}`),
    make("td", { class: "strong" }, scoreMark(group.mean)),
    make("td", {}, intervalText(group.ci95)),
    page.metrics.map((metric) => make("td", {}, scoreText(group[metric]))),
    make("td", { class: "spread" }, histogram(values, group.mean, group.ci95)),
    make("td", { class: group.num_failed ? "warns" : "" }, whole(group.num_failed)),
    make("td", { class: group.num_missing ? "warns" : "" }, whole(group.num_missing)));
  const named = [...scores].map(([name, values]) => row(
    make("button", {
      type: "button", class: "plain", title: t("show.category"), on: { click: () => choose(name) },
    }, make("bdi", {}, name)),
    report.category_statistics[name], values));
  const columns = ["category", "num_samples", "mean", "ci95", ...page.metrics, "spread", "status.failed", "status.missing"];
  return make("section", { class: "results" },
    make("h2", {}, t("results")),
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, columns.map((name) => make("th", { scope: "col", class: `of-${name}` }, t(name),
        name === "spread" && make("span", { class: "ends", "aria-hidden": "true" },
          make("span", {}, String(page.range[0])), make("span", {}, String(page.range[1]))))))),
      make("tbody", {}, named),
      make("tfoot", {}, row(t("overall"), report.overall, [...scores.values()].flat(), true)))),
    make("p", { class: "quiet" }, t("results.note")));
}

const MAX_FAILURES = 200;

function failuresSection(openPair, showFailed) {
  const all = report.failures;
  if (!all.length) return null;
  const byKey = new Map(pairs.map((pair) => [pairKey(pair), pair]));
  const kinds = new Map();
  for (const failure of all) {
    const kind = `${t(`stage.${failure.stage}`)}, ${failure.kind}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const counts = [...kinds].sort((first, second) => second[1] - first[1]).map(([kind, count]) => `${kind}: ${whole(count)}`);
  const open = (failure) => openPair(byKey.get(pairKey(failure)));
  const rows = all.slice(0, MAX_FAILURES).map((failure) => make("tr", {},
    make("td", {}, make("bdi", {}, failure.category)),
    make("td", {}, make("button", { type: "button", class: "plain", on: { click: () => open(failure) } },
      make("bdi", {}, failure.pair_id))),
    make("td", {}, t(`stage.${failure.stage}`), failure.question && [" · ", make("bdi", {}, failure.question)]),
    make("td", {}, failure.kind),
    make("td", { class: "message", dir: "auto" }, textOf(failure.message))));
  const more = all.length > MAX_FAILURES
    ? t("failures.more", { n: whole(MAX_FAILURES), all: whole(all.length) }) : null;
  return folded("failures", counts.join(" · "), [
    make("div", { class: "wide" }, make("table", { class: "list" },
      headings(["category", "pair", "stage", "kind", "message"]),
      make("tbody", {}, rows))),
    more && make("p", { class: "quiet" }, more),
    make("p", {}, make("button", { type: "button", class: "plain", on: { click: showFailed } }, t("failures.show"))),
  ]);
}

function performanceSection() {
  const { performance } = report;
  const stages = ["edit", "score"].map((name) => [name, performance[name]]).filter(([, { workers }]) => isKnown(workers));
  if (!stages.length) return null;
  const summary = stages.map(([name, stage]) => `${t(`stage.${name}`)} ${secondsText(stage.wall_seconds)}`).join(" · ");
  return folded("performance", summary, [
    make("div", { class: "wide" }, make("table", {},
      headings(["stage", "wall", "device.time", "workers", "efficiency"]),
      make("tbody", {}, stages.map(([name, stage]) => make("tr", {},
        make("th", { scope: "row" }, t(`stage.${name}`)),
        make("td", {}, secondsText(stage.wall_seconds)),
        make("td", {}, secondsText(stage.device_seconds)),
        make("td", {}, whole(stage.workers)),
        make("td", {}, shareText(stage.efficiency))))))),
    make("dl", { class: "facts" },
      fact(t("rounds"), whole(performance.rounds)),
      fact(t("barrier.wait"), secondsText(performance.barrier_wait_seconds)),
      isKnown(performance.barrier_loss_in_file_order)
        ? fact(t("barrier.loss"), secondsText(performance.barrier_loss_in_file_order)) : [],
      fact(t("switches"), `${whole(performance.model_switches)} (${secondsText(performance.model_switch_seconds)})`),
      performance.judge ? judgeFacts(performance.judge) : []),
  ]);
}

function judgeFacts({ requests, prompt_tokens: prompt, completion_tokens: completion, answered_by: models }) {
  return [
    fact(t("judge.requests"), whole(requests)),
    fact(t("judge.tokens"), `${whole(prompt)} / ${whole(completion)}`),
    models.map(({ model, system_fingerprint: fingerprint, num_answers: answers }) =>
      fact(t("judge.answered"), `${[model, fingerprint].filter(Boolean).join(" ")}: ${whole(answers)}`)),
  ].flat();
}

function provenanceSection() {
  return folded("provenance", t("provenance.more"), tree(report.provenance));
}

// Nested values as nested lists that can be folded.
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
