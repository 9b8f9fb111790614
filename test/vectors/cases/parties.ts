/** The moment at which every case happens: 2027-01-15T08:00:00Z. */
export const nowMs = 1_800_000_000_000;

export const agents = {
  mail: "agt_00000000010000000000000000",
  calendar: "agt_00000000020000000000000000",
  files: "agt_00000000030000000000000000",
} as const;

export const readFiles = { type: "tool_call", server: "files", tools: ["read_file"] };
export const readData = { ...readFiles, arguments: { path: { prefix: "/data" } } };
export const mail = "https://mail.example";
export const calendar = "https://calendar.example";
