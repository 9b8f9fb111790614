import { Agent, request } from "node:http";
import { type CallersRequest, type Figures, measureCallers } from "./measure.ts";

/** One HTTP request of a load. Made beforehand where making it costs CPU: the load shares the machine with the server. */
export interface Shot {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Posts to `url` over kept connections and measures; any answer but 200 ends it with what was answered. */
export async function measureRequests(
  url: string,
  shotOf: (index: number) => Shot,
  callers: CallersRequest,
): Promise<Figures> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers.callers });
  try {
    return await measureCallers((index) => post(agent, url, shotOf(index)), callers);
  } finally {
    agent.destroy();
  }
}

function post(agent: Agent, url: string, { headers, body }: Shot): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const posted = request(url, { agent, method: "POST", headers }, (response) => {
    let answered = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      answered += text;
    });
    response.on("end", () => {
      if (response.statusCode === 200) resolve();
      else reject(new Error(`${url} answered ${response.statusCode}: ${answered.slice(0, 500)}`));
    });
    response.on("error", reject);
  });
  posted.on("error", reject);
  posted.end(body);
  return promise;
}
