// Finds text that is wider than its box, boxes that leave the window, and texts that lie over each other.
() => {
  const faults = [];
  const shown = (e) => e.checkVisibility() && e.getClientRects().length > 0;
  const name = (e) => `${e.tagName}${e.id ? '#' + e.id : ''}.${e.className?.baseVal ?? e.className} "${e.textContent.trim().slice(0, 30)}"`;
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`page is ${document.documentElement.scrollWidth} wide`);
  for (const e of document.querySelectorAll('body *')) {
    if (!shown(e) || e.closest('svg, canvas, option')) continue;
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline'
        && !e.querySelector('canvas')) faults.push(`cut off: ${name(e)}`);
  }
  // Texts, by the boxes of their glyphs.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || !shown(parent) || parent.closest('svg, option, script, noscript, #silence, .unnamed')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects()) {
      if (r.left < -1 || r.right > innerWidth + 1) faults.push(`outside: ${name(parent)}`);
      texts.push([node, r, parent]);
    }
  }
  const fixed = (e) => { for (; e; e = e.parentElement) if (['fixed', 'sticky'].includes(getComputedStyle(e).position)) return true; return false; };
  for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) {
    const [a, ra, pa] = texts[i], [b, rb, pb] = texts[j];
    if (a === b || fixed(pa) !== fixed(pb)) continue;
    const w = Math.min(ra.right, rb.right) - Math.max(ra.left, rb.left);
    const h = Math.min(ra.bottom, rb.bottom) - Math.max(ra.top, rb.top);
    if (w > 1 && h > 0.35 * Math.min(ra.height, rb.height)) faults.push(`overlap: ${name(pa)} and ${name(pb)}`);
  }
  // Text in drawings: inside the drawing, and names of electrodes not over each other.
  for (const drawing of document.querySelectorAll('svg.head')) {
    if (!shown(drawing)) continue;
    const frame = drawing.getBoundingClientRect();
    const names = [...drawing.querySelectorAll('text')].map((e) => [e, e.getBoundingClientRect()]);
    for (const [e, r] of names) if (r.left < frame.left - 1 || r.right > frame.right + 1) faults.push(`outside: ${e.textContent}`);
    for (let i = 0; i < names.length; i++) for (let j = 0; j < i; j++) {
      const [a, b] = [names[i][1], names[j][1]];
      const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (w > 1 && h > 0.4 * Math.min(a.height, b.height)) faults.push(`overlap: ${names[i][0].textContent} and ${names[j][0].textContent}`);
    }
  }
  return [...new Set(faults)].slice(0, 12);
}
