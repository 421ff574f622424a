// Colours for text: one regular expression a language, over one line.

const LANGUAGES = {
  ir: [
    /("(?:[^"\\]|\\.)*")|(%[\w.]+)|\b((?:f|bf|i|u)(?:8|16|32|64)(?:\[[\d,]*\])?|bool(?:\[[\d,]*\])?)|\b(backward|recomputed|return|update|input|state|scalar|graph)\b|([a-z_]\w*)(?=\()/g,
    ["string", "name", "type", "keyword", "op"],
  ],
  c: [
    /(\/\*.*?(?:\*\/|$)|^ {3}[^;{}]*\*\/$|\/\/.*$)|("(?:[^"\\]|\\.)*")|(#\s*\w+.*$)|\b(for|if|else|return|while|const|static|void|long|int|float|double|char|struct|typedef|enum|restrict|unsigned|KERNEL|INLINE|NOINLINE|PLAIN|UNROLL|ROLLED|BARRIER|u?int(?:8|16|32|64)_t|bf16|f16)\b|\b([A-Za-z_]\w*)(?=\()/g,
    ["comment", "string", "macro", "keyword", "op"],
  ],
  triton: [
    /(#.*$)|("""|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(@[\w.]+)|\b(def|for|in|if|else|elif|return|import|from|as|with|while|not|and|or|is|None|True|False|class|lambda|pass|raise|yield|async|await|global|nonlocal|try|except|finally|assert|del)\b|([A-Za-z_]\w*)(?=\()/g,
    ["comment", "string", "macro", "keyword", "op"],
  ],
};
LANGUAGES.python = LANGUAGES.triton;

/** HTML of a line of text. */
function coloured(text, language) {
  const [pattern, kinds] = LANGUAGES[language];
  let html = "";
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const kind = kinds[match.slice(1).findIndex((group) => group !== undefined)];
    html += escaped(text.slice(end, match.index)) + `<span class="${kind}">${escaped(match[0])}</span>`;
    end = match.index + match[0].length;
  }
  return html + escaped(text.slice(end));
}
