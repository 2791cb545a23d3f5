// The lab in a worker: it gets a capture's bytes, and answers with what the page shows. The page stays alive meanwhile.
import { loadPyodide } from "./pyodide/pyodide.mjs";

// Of what Python says when it stops, the last line.
const why = (error) => String(error?.message || error).trim().split("\n").pop().slice(0, 300);
const tell = (kind, more = {}) => postMessage({ kind, ...more });

async function begun() {
  tell("loading");
  const [python, packed] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href }),
    fetch(new URL("./lab.zip", import.meta.url)).then((got) => (got.ok ? got.arrayBuffer() : Promise.reject(new Error(`lab.zip: ${got.status}`)))),
  ]);
  tell("starting");
  python.unpackArchive(packed, "zip", { extractDir: "/home/lab" });
  python.runPython("import sys; sys.path.insert(0, '/home/lab')");
  return [python, python.pyimport("lab.page.dropped")];
}

const lab = begun();
lab.catch((error) => tell("failed", { why: why(error) }));

onmessage = async ({ data }) => {
  const [python, dropped] = await lab;
  try {
    if (data.kind === "save") {
      tell("saved", { text: dropped.as_file("/capture", data.name) });
      return;
    }
    tell("reading");
    python.FS.writeFile("/capture", new Uint8Array(data.bytes));
    tell("answer", { text: dropped.answer("/capture", data.name, (count) => tell("passed", { count })) });
  } catch (error) {
    tell("died", { why: why(error) });
  }
};
