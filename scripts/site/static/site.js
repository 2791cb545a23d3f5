// Keeps the reader's language, as the captures' pages do: a page in English leads on to the other one where that is wanted.
(() => {
  const root = document.documentElement, zh = root.lang.startsWith("zh"), key = "handshake-lab";
  const link = document.querySelector("a.switch");
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(key) || "{}");
  } catch {
    // from disk there may be no storage: nothing is kept then
  }
  if (kept.theme) root.dataset.theme = kept.theme;
  const wanted = kept.lang || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
  if (!zh && wanted === "zh") {
    location.replace(link.href + location.hash);
    return;
  }
  link.addEventListener("click", () => {
    try {
      localStorage.setItem(key, JSON.stringify({ ...kept, lang: zh ? "en" : "zh" }));
    } catch {
      // as above
    }
    link.href = link.href.split("#")[0] + location.hash;
  });
})();
