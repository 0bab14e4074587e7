// The page's own texts in two languages, and its light and dark theme.

let language = "en";

function chooseLanguage() {
  const requested = new URLSearchParams(location.hash.slice(1)).get("lang") ?? memory.get("language");
  const preferred = navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en";
  language = requested in STRINGS ? requested : preferred;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

function setLanguage(next) {
  language = next;
  memory.set("language", next);
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
}

// The text with this name, with the values filled in for {names}. Of {n:pair|pairs}, the first is for one, the second
// for any other number.
function t(name, values = {}) {
  const text = STRINGS[language][name] ?? STRINGS.en[name] ?? name;
  return text.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, key, one, many) => {
    const value = String(values[key] ?? "");
    if (one === undefined) return value;
    return value === "1" ? one : many;
  });
}

const THEMES = ["auto", "light", "dark"];

function chooseTheme() {
  const requested = new URLSearchParams(location.hash.slice(1)).get("theme") ?? memory.get("theme");
  setTheme(THEMES.includes(requested) ? requested : "auto");
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  memory.set("theme", theme);
  setTheme(theme);
}
