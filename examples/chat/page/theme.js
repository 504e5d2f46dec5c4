// Runs before the first paint, so that a chosen theme does not flash in. Without a choice the
// system's is used, by CSS alone.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off; so be it.
}
