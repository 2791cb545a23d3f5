// The lab in a worker: it gets a capture's bytes, and answers with what the page shows. The page stays alive meanwhile.
import { loadPyodide } from "./pyodide/pyodide.mjs";

// Of what Python says when it stops, the last line.
const why = (error) => String(error?.message || error).trim().split("\n").pop().slice(0, 300);
const tell = (kind, more = {}) => postMessage({ kind, ...more });

/** Counts what is fetched, for whoever waits. */
const fetched = fetch;
let got = 0;
globalThis.fetch = async (...given) => {
  const answer = await fetched(...given);
  if (!answer.ok || !answer.body) return answer;
  const counting = new TransformStream({
    transform(piece, on) {
      const before = got;
      got += piece.byteLength;
      if (got >> 20 !== before >> 20) tell("loading", { got });
      on.enqueue(piece);
    },
  });
  return new Response(answer.body.pipeThrough(counting), { status: answer.status, headers: answer.headers });
};

/** Hands over what has been written, without a copy. */
function hand(kind, python) {
  const bytes = python.FS.readFile("/answer");
  postMessage({ kind, bytes }, [bytes.buffer]);
}

async function begun() {
  tell("loading");
  const [python, packed] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href }),
    fetch(new URL("./lab.zip", import.meta.url)).then((got) => (got.ok ? got.arrayBuffer() : Promise.reject(new Error(`lab.zip: ${got.status}`)))),
  ]);
  tell("starting");
  python.FS.mkdir("/dropped");
  python.FS.chdir("/dropped");
  python.unpackArchive(packed, "zip", { extractDir: "/home/lab" });
  python.runPython("import sys; sys.path.insert(0, '/home/lab')");
  return [python, python.pyimport("lab.page.dropped")];
}

let kept = ""; // the file that the capture is in: called as it was, for it is named in what is said of it
const lab = begun();
lab.catch((error) => tell("failed", { why: why(error) }));

onmessage = async ({ data }) => {
  const [python, dropped] = await lab;
  try {
    if (data.kind === "save") {
      dropped.as_file(kept, data.name, "/answer");
      hand("saved", python);
      return;
    }
    tell("reading");
    if (kept) python.FS.unlink(kept);
    kept = /^(\.{0,2}|-)$/.test(data.name) ? "capture" : data.name.replace(/[/\0]/g, "_");
    python.FS.writeFile(kept, new Uint8Array(data.bytes));
    dropped.answer(kept, data.name, "/answer", (count) => tell("passed", { count }));
    hand("answer", python);
  } catch (error) {
    tell("died", { why: why(error) });
  }
};
