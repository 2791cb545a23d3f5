// Made by scripts/page_types.py from lab/report/page.schema.json: change that.

/** A text in both languages. */
export interface Text {
  en: string;
  zh: string;
}

/** The client's, and the server's. */
export type Pair = [string | null, string | null];

/** Which buffer, and where in it: the end is exclusive. */
export type Place = [number, number, number];

export interface Field {
  name: string;
  value: string;
  at?: Place;
  /** Whether it only says what lies in a record that was decrypted. */
  sealed?: boolean;
  /** Its name, where that is words. */
  called?: Text;
  depth?: number;
  meaning?: Text;
}

export interface Layer {
  title: string;
  fields: Field[];
  name?: Text;
}

export interface Buffer {
  name: Text;
  /** Base64. */
  bytes: string;
  /** How many bytes are left out at the end. */
  more: number;
}

/** Layers from the outside in. Of overlapping fields the last one owns a byte. */
export interface Detail {
  layers: Layer[];
  buffers: Buffer[];
}

/** A step of the notes, as this packet is one. */
export interface Step {
  id: string;
  name: Text;
  title: Text;
  text: Text;
  rfc: Text;
}

/** A line of what is said of a packet. */
export interface Said {
  kind: "step" | "message" | "remark" | "payload";
  en: string;
  zh: string;
}

/** A row of a table that has fired. */
export interface Fired {
  /** The arrow of the diagram that it is. */
  edge: string | null;
  protocol: string;
  end: Role;
  before: string;
  after: string;
  on: string;
  words: Text;
  source: Text | null;
}

export type Role = "client" | "server";

/** Relative sequence numbers: what a packet takes, and how far both ends had come before it. */
export interface Space {
  seq: number | null;
  stop: number;
  ack: number | null;
  window: number | null;
  syn: boolean;
  fin: boolean;
  sent: [number, number];
  acked: [number, number];
}

export interface Message {
  protocol: string;
  name: string;
  words: Text;
  decrypted: boolean;
  /** Whether another protocol's message is all it carries. */
  wraps: boolean;
}

/** Both ends' states in a protocol that the transport carries. */
export interface Above {
  protocol: string;
  held: Pair;
  delivered: Pair | null;
}

/** What both kernels say: numbers in the order of the page's socket, a timer with the milliseconds until it fires. */
export interface Socket {
  client: any[];
  server: any[];
  /** Counters that have moved: whose, its name, by how much. */
  moved?: any[][];
}

/** A packet. What belongs to no conversation has neither states nor an arrow. */
export interface Rung {
  number: number;
  /** Since the first packet. */
  seconds: number | null;
  track: number | null;
  from: Role | null;
  size: number | null;
  labels: string[];
  detail: Detail;
  name: Text;
  style: "plain" | "open" | "close" | "data" | "reset";
  fate: "arrived" | "lost" | "unknown" | "held" | "under-way";
  said: Said[];
  steps: Step[];
  /** The place of the rung behind which it arrived. */
  got?: number;
  label?: string;
  /** Its numbers as they are on the wire. */
  raw?: string;
  by?: string | null;
  states?: {
    held: Pair;
    delivered: Pair | null;
  };
  /** What somebody who is to say what comes next has to say. */
  quiz?: string;
  /** An acknowledgement and nothing else, and no step. */
  bare?: boolean;
  space?: Space;
  badge?: Text | null;
  sentence?: Text;
  fired?: Fired[];
  kernel?: {
    held: Pair | null;
    delivered: Pair | null;
  };
  /** Whether both kernels said the same as the table. */
  agrees?: boolean;
  sockets?: {
    held?: Socket;
    delivered?: Socket;
  };
  messages?: Message[];
  above?: Above[];
  /** Why it was refused, or what became of it. */
  why?: Text;
  refused?: boolean;
  forged?: boolean;
  copies?: number;
  /** Copies that the wire dropped, since it was held. */
  again?: number;
  reckoned?: ({
    name: Text;
    text: Text;
  })[];
}

/** A conversation. */
export interface Track {
  id: number;
  client: string;
  server: string;
  start: Pair | null;
  alone: Role | null;
  isns: [number | null, number | null];
}

/** What became of the notes' steps in a conversation. */
export interface Outcome {
  track: number;
  steps: ({
    id: string;
    name: Text;
    title: Text;
    packets: number[];
    differs: Text | null;
  })[];
  final: Pair | null;
}

/** A message of one of two captures. */
export interface Entry {
  packet: number;
  from: Role;
  name: string;
  states: Pair;
  words: Text;
  badge: Text | null;
  remarks: Text[];
}

/** Two captures: what each page has of its own, and their rows side by side. */
export interface Compare {
  sides: [{
    name: string;
    ends: string;
    page: Record<string, any>;
  }, {
    name: string;
    ends: string;
    page: Record<string, any>;
  }];
  rows: ({
    change: "same" | "changed" | "a" | "b";
    fields: string[];
    a: Entry | null;
    b: Entry | null;
  })[];
  facts: ({
    title: Text;
    a: Text;
    b: Text;
  })[];
  summary: Text[];
  same: boolean;
}

/** A worked example; locked says why it could not be told. */
export interface Example {
  title: Text;
  locked: Text | null;
  lines: ({
    what: Text;
    inputs: ([string, string])[];
    operation: string;
    name: string;
    output: string;
    source: Text;
  })[];
}

/** A state's box. */
export interface Node {
  id: string;
  state: string;
  ends: Role[];
  starts: Role[];
  spelled: string | null;
  phase: string;
  text: Text;
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Words on an arrow. */
export interface Line {
  text: Text;
  step: Text | null;
  x: number;
  y: number;
  anchor: string;
}

/** An arrow. */
export interface Edge {
  id: string;
  kind: "arrow" | "inside" | "gathered" | "silent";
  ends: Role[];
  start: string;
  end: string;
  lines: Line[];
  drawn: boolean;
  path: string;
}

/** Words of no arrow alone. */
export interface Caption {
  text: Text;
  kind: string;
  /** The id of the box that many arrows lead to; empty for a title. */
  node: string;
  x: number;
  y: number;
  anchor: string;
  path: string;
}

/** A protocol's table as a picture. */
export interface Diagram {
  schema: string;
  protocol: string;
  title: Text;
  width: number;
  height: number;
  nodes: Node[];
  edges: Edge[];
  captions: Caption[];
}

/** What a page shows. */
export interface Page {
  schema: "handshake-lab/page/v1";
  name: string;
  live: boolean;
  /** The protocol whose states are a rung's. */
  transport: string;
  roles: {
    client: Text;
    server: Text;
  };
  /** Protocols by their names. */
  titles: Record<string, string>;
  /** In which part of a connection's life a state is. */
  phases: Record<string, string>;
  /** States that the notes spell otherwise. */
  spelled: Record<string, string>;
  socket: ({
    name: string;
    en: string;
    zh: string;
    unit: string;
  })[];
  /** The page's own words. */
  words: Record<string, Text>;
  tracks: Track[];
  rungs: Rung[];
  diagrams: Diagram[];
  /** What a packet can be said to be. */
  quiz: string[];
  outcome: Outcome[];
  /** Of a live page: how often what it shows has changed. */
  version?: number;
  proof?: Text;
  problem?: Text;
  compare?: Compare;
  timers?: Record<string, Text>;
  /** Where it was asked for. */
  keylog?: string;
  /** How keys come about, where they were asked for. */
  examples?: Example[];
}
