import { z } from "zod";

/** RFC 9457 problem details; `code` is stable, `type` is its page. */
export const problemSchema = z.looseObject({
  type: z.string().max(1024),
  title: z.string().max(256),
  status: z.int(),
  code: z.string().max(64),
  detail: z.string().max(4096).optional(),
  request_id: z.string().max(128).optional(),
});
export type Problem = z.infer<typeof problemSchema>;
