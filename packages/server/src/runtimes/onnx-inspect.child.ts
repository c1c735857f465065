/** The inside of an inspection: loads the file named on the command line, tries it, reports and ends. Started by `onnx-inspect.ts`. */
import { writeFileSync } from 'node:fs';
import { failureOf } from './onnx-failure.ts';
import type { InspectReport } from './onnx-inspect.ts';
import { probeOnnx } from './onnx-probe.ts';
import { openOnnxSession } from './onnx-session.ts';

volunteerForOutOfMemory();
process.send?.(await inspect(process.argv[2] ?? ''), () => process.disconnect?.());

async function inspect(path: string): Promise<InspectReport> {
  try {
    const session = await openOnnxSession(path);
    // Whether the made-up rows are answered does not matter here; that they do not crash or hang does.
    await probeOnnx(session, { budgetMs: 0 });
    return { kind: 'inspected', signature: session.signature };
  } catch (error) {
    return { kind: 'refused', ...failureOf(error) };
  }
}

/** On Linux: if memory runs out, the kernel ends this process and not the server. */
function volunteerForOutOfMemory(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Another system; its own rules decide.
  }
}
