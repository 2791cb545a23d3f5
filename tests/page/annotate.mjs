// The lab under Pyodide in node: node annotate.mjs PYODIDE ROOT PROGRAM FILE ... prints what PROGRAM makes of each file.

const [pyodide, root, program, ...files] = process.argv.slice(2);
const { loadPyodide } = await import(`${pyodide}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: pyodide });
python.mountNodeFS("/lab", root);
python.runPython("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/lab')");
const make = python.runPython(program);
files.forEach((file, at) => {
  python.mountNodeFS(`/captures${at}`, file.slice(0, file.lastIndexOf("/")));
  process.stdout.write(make(`/captures${at}`, file.slice(file.lastIndexOf("/") + 1)) + "\0");
});
