// The controls above the cards, the bar above the page, the help, and the keys that work everywhere.

// `fields`: statusName; statuses, sorts, values, others and layouts (the last three null if there are none), lists of
// [value, label]; range (null without scores): label, from, to, ends; optionally searchHint, and otherName, the label of
// `others`. `changed` is called after the view has changed.
function toolBar(fields, changed) {
  const update = (name) => (event) => {
    view[name] = event.target.value;
    // Another value has another scale.
    if (name === "by") Object.assign(view, { low: "", high: "" });
    writeView();
    changed();
  };
  const select = (name, label, options) => make("div", { class: `field by-${name}` },
    make("label", { for: `view-${name}` }, label),
    make("select", { id: `view-${name}`, on: { change: update(name) } },
      options.map(([value, text]) => make("option", { value, selected: view[name] === value }, text))));
  // Two inputs share one visible label, so each has its own name.
  const number = (name, label, placeholderText) => make("input", {
    id: `view-${name}`, type: "number", step: "any", inputmode: "decimal", value: view[name],
    placeholder: placeholderText, "aria-label": label, on: { input: update(name) },
  });
  const search = make("div", { class: "field by-text" },
    make("label", { for: "view-q" }, t("search")),
    make("input", {
      id: "view-q", type: "search", value: view.q, placeholder: fields.searchHint ?? t("search.hint"), autocomplete: "off",
      spellcheck: "false", on: { input: update("q") },
    }));
  const named = [...categories].map(([name, { count }]) => [name, `${name} (${whole(count)})`]);
  const grouped = { class: "field by-score", role: "group" };
  const range = fields.range && make("div", { ...grouped, "aria-label": fields.range.label },
    make("label", { for: "view-low" }, fields.range.label),
    make("div", {},
      number("low", fields.range.from, String(fields.range.ends[0])), "–",
      number("high", fields.range.to, String(fields.range.ends[1]))));
  const count = make("output", { class: "count", "aria-live": "polite" });
  const clear = make("button", {
    type: "button", class: "plain clear",
    on: {
      click: () => {
        Object.assign(view, withoutFilters());
        writeView();
        changed(true);
        document.getElementById("view-q")?.focus();
      },
    },
  }, t("clear"));
  const bar = make("div", { class: "tools", role: "search" },
    search,
    select("category", t("category"), [["", t("all.categories")], ...named]),
    fields.statuses.length > 2 && select("status", fields.statusName, fields.statuses),
    fields.values && select("by", t("by"), fields.values),
    range,
    fields.others && select("other", fields.otherName ?? t("other.run"), fields.others),
    select("sort", t("sort"), fields.sorts),
    fields.layouts && select("layout", t("layout"), fields.layouts),
    make("div", { class: "matches" }, count, clear));
  return {
    bar,
    showCount(n) {
      count.textContent = t("matches", { n: whole(n), all: whole(pairs.length) });
      clear.hidden = Object.keys(PLAIN).every((name) => NOT_A_FILTER.includes(name) || view[name] === PLAIN[name]);
    },
  };
}

function topBar(redrawAll) {
  const button = (id, label, title, action) => make("button", {
    type: "button", id, class: "plain", title, on: { click: action },
  }, label);
  const themeLabel = () => t(`theme.${document.documentElement.dataset.theme}`);
  return make("div", { class: "top" },
    make("span", { class: "product" }, "warmbench"),
    make("div", { class: "switches" },
      button("language", language === "zh" ? "English" : "中文", t("language"), () => {
        setLanguage(language === "zh" ? "en" : "zh");
        redrawAll();
        document.getElementById("language")?.focus();
      }),
      button("theme", themeLabel(), t("theme"), (event) => {
        nextTheme();
        event.currentTarget.textContent = themeLabel();
      }),
      button("help", t("keys"), t("keys.title"), () => openHelp())));
}

const KEYS = [
  [["j", "k"], "keys.step"],
  [["←", "→", "↑", "↓"], data.series ? "keys.arrows.runs" : "keys.arrows"],
  [["Enter"], "keys.open"],
  [["Esc"], "keys.close"],
  [["/"], "keys.search"],
  [["v"], "keys.mode"],
  [["Space"], "keys.flip"],
  [["[", "]"], data.series ? "keys.runs" : "keys.sample"],
  [["?"], "keys.help"],
];

function openHelp() {
  document.querySelector("dialog.help")?.remove();
  const close = () => dialog.close();
  const dialog = make("dialog", { class: "help", "aria-labelledby": "help-heading" },
    make("h2", { id: "help-heading" }, t("keys.title")),
    make("dl", {}, KEYS.flatMap(([keys, name]) => [
      make("dt", {}, keys.map((key) => make("kbd", {}, key))), make("dd", {}, t(name))])),
    make("button", { type: "button", class: "plain", on: { click: close } }, t("close")));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

// `onKey(event)` returns true if it has handled the key.
function listenForKeys(grid, onKey) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && event.target.id === "view-q") {
      grid.step(0);
      event.preventDefault();
      return;
    }
    if (isTyping(event)) return;
    if (event.key === "/") {
      const search = document.getElementById("view-q");
      search.focus();
      search.select();
    } else if (event.key === "?") openHelp();
    else if (event.key === "j") grid.step(grid.holder.contains(document.activeElement) ? 1 : 0);
    else if (event.key === "k") grid.step(grid.holder.contains(document.activeElement) ? -1 : 0);
    else if (!onKey?.(event)) return;
    event.preventDefault();
  });
}
