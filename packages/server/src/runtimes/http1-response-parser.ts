/** Reads one HTTP/1.x answer after the other from the bytes of a connection. The connection depends on it. */
import { openChunkedBody } from './http1-chunked.ts';
import { badAnswer, MAX_HEAD_LENGTH, type ParsedHead, parseHead } from './http1-head.ts';

/** Told what an answer consists of. Each may call {@link ResponseParser.stop}; nothing follows then. */
export interface AnswerSink {
  onHead(head: ParsedHead): void;
  onBody(chunk: Buffer): void;
  /** @param excess whether the server sent more than the answer */
  onComplete(excess: boolean): void;
}

export interface ResponseParser {
  /** Expects an answer. */
  begin(): void;
  /**
   * Reads on. What is passed on is a copy, so `bytes` may be overwritten afterwards.
   * @throws AppError `upstream.bad_response`; the connection is then of no more use
   */
  read(bytes: Buffer): void;
  /**
   * The server has closed its side.
   * @throws AppError `upstream.bad_response` when that cut the answer off
   */
  end(): void;
  stop(): void;
}

// Most heads fit; what is longer is read piece by piece.
const HEAD_PIECE = 2048;
const HEAD_END = '\r\n\r\n';
const HEAD_START = 'HTTP/1.';
const LONE_LINE_FEED = /[^\r]\n/;
// RFC 9110 §15.2 lets a server send several; an endless row of them is an attack.
const MAX_INTERIM_ANSWERS = 16;

type Phase = 'idle' | 'head' | 'length' | 'chunked' | 'until-close';

export function openResponseParser(sink: AnswerSink): ResponseParser {
  const heads = openHeadReader();
  let phase: Phase = 'idle';
  let interimAnswers = 0;
  let remaining = 0;
  const chunked = openChunkedBody(
    (bytes, start, end) => sink.onBody(copyOf(bytes, start, end)),
    () => phase !== 'chunked',
  );

  function takeHead(head: ParsedHead): void {
    const { framing } = head;
    if (head.answer.status < 200) {
      assertInterim(head, ++interimAnswers);
      return;
    }
    phase = typeof framing === 'number' ? 'length' : framing;
    if (typeof framing === 'number') remaining = framing;
    else chunked.begin();
    sink.onHead(head);
  }

  function readBody(bytes: Buffer, start: number): number {
    if (phase === 'chunked') return chunked.read(bytes, start);
    const end = phase === 'length' ? Math.min(bytes.length, start + remaining) : bytes.length;
    remaining -= end - start;
    if (end > start) sink.onBody(copyOf(bytes, start, end));
    return end;
  }

  function complete(excess: boolean): void {
    phase = 'idle';
    sink.onComplete(excess);
  }

  return {
    begin() {
      phase = 'head';
      interimAnswers = 0;
    },
    read(bytes) {
      let at = 0;
      while (phase === 'head' && at < bytes.length) {
        at = heads.read(bytes, at);
        const head = heads.take();
        if (head !== undefined) takeHead(head);
      }
      if (phase !== 'idle' && at < bytes.length) at = readBody(bytes, at);
      const isWhole = phase === 'length' ? remaining === 0 : phase === 'chunked' && chunked.isComplete;
      if (isWhole) complete(at < bytes.length);
    },
    end() {
      if (phase === 'until-close') complete(false);
      else if (phase !== 'idle') throw badAnswer('the connection was closed before the answer was whole');
    },
    stop() {
      phase = 'idle';
    },
  };
}

interface HeadReader {
  /** @returns where reading goes on: behind the head when it is whole */
  read(bytes: Buffer, start: number): number;
  /** The head, once it is whole. */
  take(): ParsedHead | undefined;
}

function openHeadReader(): HeadReader {
  let headText = '';
  let head: ParsedHead | undefined;
  // A server that answers much answers much the same: within one second and with one length, heads do not differ.
  let lastText = '';
  let lastHead: ParsedHead | undefined;
  return {
    read(bytes, start) {
      const end = Math.min(bytes.length, start + HEAD_PIECE);
      const before = headText.length;
      const text = headText + bytes.toString('latin1', start, end);
      const found = text.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length + 1));
      if (found < 0) {
        headText = text;
        assertCanBeHead(text, before);
        return end;
      }
      if (found > MAX_HEAD_LENGTH) throw badAnswer('its head is too long');
      headText = '';
      const whole = text.slice(0, found + 2);
      head = lastHead !== undefined && whole === lastText ? lastHead : parseHead(whole);
      lastText = whole;
      lastHead = head;
      return start + found + HEAD_END.length - before;
    },
    take() {
      const taken = head;
      head = undefined;
      return taken;
    },
  };
}

/** One of HTTP/1.0, one that closes and one with a body are contradictions that readers resolve in different ways. */
function assertInterim({ keepsAlive }: ParsedHead, count: number): void {
  if (!keepsAlive) throw badAnswer('an interim answer of it ends the connection or has a body');
  if (count > MAX_INTERIM_ANSWERS) throw badAnswer('it announces itself without end');
}

/** Refuses at once what cannot become a head, so that nobody waits for its end. */
function assertCanBeHead(text: string, checked: number): void {
  if (text.length > MAX_HEAD_LENGTH + HEAD_END.length) throw badAnswer('its head is too long');
  if (!HEAD_START.startsWith(text.slice(0, HEAD_START.length))) throw badAnswer('it does not begin with "HTTP/1."');
  if (LONE_LINE_FEED.test(text.slice(Math.max(0, checked - 1)))) throw badAnswer('a line of its head does not end in CR LF');
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
