/**
 * The page of the watch-over speaker: whether somebody is at home, and what the speakers there did, as it happens.
 * What the server says reaches the page through `textContent` only; this file makes no HTML of text, loads nothing from
 * elsewhere, and keeps the token in this tab alone.
 */

const limits = {
  eventsShown: 200, // rows in the list; older ones are on the server
  historyShown: 60, // rows of one speaker's history
  latelyShown: 2, // last things on a card
  messagesShown: 300,
  speakersShown: 500,
  speakersWithHistory: 24, // whose recent events fill the list at first
  historyPerSpeaker: 20,
  pageItems: 100, // the API's largest page
  streamEventChars: 1024 * 1024, // one announcement; ours are below 4 KiB
  requestMs: 15_000,
  refreshMs: 10_000,
  hurryMs: 1_500, // between two reloads that live events ask for
  retryFirstMs: 1_000,
  retryLastMs: 30_000,
  stableMs: 10_000, // a live connection this old starts again with the first delay
  calmEventsPer5s: 8, // above it, a screen reader is told how many instead of each
};

/**
 * @typedef {{ type: string, speakerId: string, name?: string, at: string, recordedAtMs: number, messageId?: string,
 *   text?: string, detail?: string, latencyMs?: number }} Happening
 * @typedef {{ speakerId: string, name: string, presence: 'unknown' | 'home' | 'away', presenceSince?: string,
 *   connected: boolean, presenceSetAt?: number, lately: Happening[] }} Speaker
 * @typedef {{ messageId: string, text: string, playOn: 'enter' | 'leave' | 'now', expiresAt?: string, status: string,
 *   createdAt: string }} Message
 * @typedef {{ token: string, user: string, mayWrite: boolean, isDemo: boolean, ended: AbortController }} Session
 */

// ---- Elements and text

/** @param {string} id @returns {any} an element that page.html has */
const byId = id => document.getElementById(id);
/** @param {string} id @returns {any} */
const fromTemplate = id => byId(id).content.firstElementChild.cloneNode(true);

/** Sets what somebody typed, in the script and voice it asks for. Han letters alone are Chinese to a Chinese browser. */
function setForeign(element, text) {
  if (element.textContent === text) return;
  element.textContent = text;
  const isJapanese =
    /[\u3040-\u30ff]/.test(text) || (/[\u4e00-\u9fff]/.test(text) && !navigator.language.startsWith('zh'));
  if (isJapanese) element.lang = 'ja';
  else element.removeAttribute('lang');
}

/** @param {string} text @param {string} [className] */
function foreign(text, className = '') {
  const element = document.createElement('bdi');
  element.className = className;
  setForeign(element, text);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setIcon(element, name) {
  element.querySelector('use').setAttribute('href', `#icon-${name}`);
}

const count = (number, one, many = `${one}s`) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;

// ---- Time: by the server's clock, since that of a phone may be off

let serverAheadMs = 0;
const nowMs = () => Date.now() + serverAheadMs;
const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const minuteFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

function learnServerTime(response) {
  const ahead = Date.parse(response.headers.get('Date') ?? '') - Date.now();
  if (!Number.isNaN(ahead)) serverAheadMs = Math.abs(ahead) > 2_500 ? ahead : 0; // The header has whole seconds.
}

/** "3 min", or undefined where only the date makes sense. */
function spanOf(spanMs) {
  const seconds = Math.floor(spanMs / 1_000);
  if (seconds < 60) return `${Math.max(10, Math.floor(seconds / 10) * 10)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  if (seconds < 7 * 86_400) return count(Math.floor(seconds / 86_400), 'day');
  return undefined;
}

/** @param {string} at as the server gave it @param {'ago' | 'for'} style */
function relative(at, style) {
  const atMs = Date.parse(at);
  if (Number.isNaN(atMs)) return at;
  const spanMs = nowMs() - atMs;
  if (Math.abs(spanMs) < 10_000) return 'just now';
  const span = spanMs > 0 ? spanOf(spanMs) : undefined; // Clocks of devices may be ahead.
  if (!span) return `${style === 'for' ? 'since ' : ''}${(spanMs > 0 ? dayFormat : minuteFormat).format(atMs)}`;
  return style === 'for' ? `for ${span}` : `${span} ago`;
}

/** @param {'ago' | 'for'} [style] */
function setTime(element, at, style = 'ago') {
  const atMs = Date.parse(at);
  if (element.dateTime !== at) {
    element.dateTime = at;
    element.dataset.style = style;
    element.title = Number.isNaN(atMs) ? '' : exactFormat.format(atMs);
  }
  setText(element, relative(at, style));
}

function refreshTimes() {
  for (const element of document.querySelectorAll('time[data-style]')) {
    const time = /** @type {HTMLTimeElement} */ (element);
    setText(time, relative(time.dateTime, /** @type {'ago' | 'for'} */ (time.dataset.style)));
  }
}

// ---- The API

/** A refusal of the server, or that it did not answer (status 0). */
class Problem extends Error {
  constructor(status, { detail, fix = '' }) {
    super(detail);
    this.status = status;
    this.fix = fix;
  }
}

/** @type {Session | undefined} */
let session;

/**
 * @param {string} path
 * @param {{ method?: string, body?: object, signal?: AbortSignal }} [options]
 * @returns {Promise<Response>} a good one; throws `Problem` otherwise. A token that is not valid any more ends the session.
 */
async function send(path, { method = 'GET', body, signal = AbortSignal.timeout(limits.requestMs) } = {}) {
  const sender = session;
  const headers = { Authorization: `Bearer ${sender?.token}`, ...(body && { 'Content-Type': 'application/json' }) };
  const request = { method, headers, body: body && JSON.stringify(body), signal, redirect: 'error', cache: 'no-store' };
  const response = await fetch(path, /** @type {RequestInit} */ (request)).catch(() => {
    const fix = 'Look whether it is running; this page keeps trying.';
    throw new Problem(0, { detail: 'The server does not answer.', fix });
  });
  learnServerTime(response);
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const { detail = `The server answered ${response.status}.`, fix } = answer;
  const problem = new Problem(response.status, { detail: String(detail), fix: String(fix ?? '') });
  if (problem.status === 401 && sender && sender === session) endSession(problem);
  if (problem.status === 403 && sender && sender === session) setMayWrite(false);
  throw problem;
}

const get = async path => (await send(path)).json();
const pathOf = (speakerId, rest) => `/v1/speakers/${encodeURIComponent(speakerId)}/${rest}`;

/** Shows a problem, or hides what was shown. */
function showProblem(element, problem) {
  element.hidden = !problem;
  element.replaceChildren();
  if (!problem) return;
  element.append(foreign(problem.message, 'problem-detail'));
  if (problem instanceof Problem && problem.fix) element.append(foreign(problem.fix, 'problem-fix'));
}

/**
 * The events of a Server-Sent Events stream, read as the HTML standard says ("Interpreting an event stream").
 * `id` and `retry` are read over: what was missed is loaded anew.
 * @param {ReadableStream<Uint8Array>} body
 */
async function* readEventStream(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader(); // Takes off a BOM.
  let rest = '';
  let endedWithCr = false;
  let type = '';
  /** @type {string[]} */
  let data = [];
  let chars = 0;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return; // An event without its empty line is not an event.
      const text = endedWithCr && value.startsWith('\n') ? value.slice(1) : value;
      if (value !== '') endedWithCr = value.endsWith('\r');
      chars += text.length;
      const lines = (rest + text).split(/\r\n|\r|\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { type: type || 'message', data: data.join('\n') };
          [type, data, chars] = ['', [], rest.length];
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon); // Empty for a comment.
        const fieldValue = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
        if (field === 'event') type = fieldValue;
        else if (field === 'data') data.push(fieldValue);
      }
      if (chars > limits.streamEventChars) throw new Error('The live stream sent too much without an end.');
    }
  } finally {
    reader.cancel().catch(() => {}); // Closed already, or about to be.
  }
}

// ---- What is known

/** @type {Map<string, Speaker>} */
let speakers = new Map();
let hasMoreSpeakers = false;
let haveSpeakersLoaded = false;
/** @type {Happening[]} newest first */
let events = [];
let shownKeys = new Set();
/** @type {Happening[]} not drawn yet, oldest first */
let arrived = [];
let isPaused = false;
let arrivedWhilePaused = 0;
let leftOutCount = 0;
let arrivedInWindow = 0;

/** What happened once is one thing, whether it came live or with the history. @param {Happening} happening */
const keyOf = ({ speakerId, type, messageId, at }) => `${speakerId}:${type}:${messageId ?? at}`;

function forgetAll() {
  speakers = new Map();
  [hasMoreSpeakers, haveSpeakersLoaded, isPaused] = [false, false, false];
  [events, arrived, shownKeys] = [[], [], new Set()];
  [arrivedWhilePaused, leftOutCount, arrivedInWindow] = [0, 0, 0];
  byId('speakers').replaceChildren();
  byId('events').replaceChildren();
  cards.clear();
}

/** Runs `work` at once, then at most every `ms`; a call in between is made up for at the end. Never two at a time. */
function atMostEvery(ms, work) {
  let isWanted = false;
  let isRunning = false;
  return async function run() {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      await work().catch(() => {}); // `work` shows its own problems.
      await new Promise(resolve => setTimeout(resolve, ms));
    }
    isRunning = false;
  };
}

const refreshSpeakers = atMostEvery(limits.hurryMs, async () => {
  const asker = session;
  if (!asker) return;
  const askedAt = performance.now();
  try {
    const items = [];
    let next;
    do {
      const page = await get(
        `/v1/speakers?limit=${limits.pageItems}${next ? `&next=${encodeURIComponent(next)}` : ''}`,
      );
      items.push(...page.items);
      next = page.next;
    } while (next && items.length < limits.speakersShown);
    if (asker !== session) return;
    hasMoreSpeakers = Boolean(next);
    takeSpeakers(items, askedAt);
    showProblem(byId('page-problem'), undefined);
  } catch (problem) {
    if (asker !== session) return;
    if (problem instanceof Problem && problem.status === 0)
      live?.abort(); // It may hang without knowing.
    else showProblem(byId('page-problem'), problem);
  }
});

function takeSpeakers(items, askedAt) {
  const before = speakers;
  const isFirst = !haveSpeakersLoaded;
  speakers = new Map();
  for (const item of items) {
    const known = before.get(item.speakerId);
    const speaker = { ...item, lately: known?.lately ?? [], presenceSetAt: known?.presenceSetAt };
    if (known?.presenceSetAt && known.presenceSetAt > askedAt) {
      // Somebody passed while the answer was on its way.
      Object.assign(speaker, { presence: known.presence, presenceSince: known.presenceSince });
    }
    speakers.set(item.speakerId, speaker);
  }
  haveSpeakersLoaded = true;
  if (isFirst) loadHistory();
  drawSoon();
}

/** Fills the list with what happened before the page was open, or while it was cut off. */
const loadHistory = atMostEvery(limits.hurryMs, async () => {
  const asker = session;
  const asked = [...speakers.values()].slice(0, limits.speakersWithHistory);
  const pages = await Promise.all(
    asked.map(async speaker => {
      const { items } = await get(pathOf(speaker.speakerId, `events?limit=${limits.historyPerSpeaker}`));
      return items.map(item => happeningOf({ ...item, speakerId: speaker.speakerId, name: speaker.name }));
    }),
  );
  if (asker !== session) return;
  takeHistory(pages.flat());
});

/** @returns {Happening} */
function happeningOf(item) {
  return { ...item, recordedAtMs: Date.parse(item.recordedAt ?? '') || nowMs() };
}

/** @param {Happening[]} past */
function takeHistory(past) {
  const merged = new Map(events.map(event => [keyOf(event), event]));
  for (const event of past) {
    const key = keyOf(event);
    const known = merged.get(key);
    if (known) known.recordedAtMs = event.recordedAtMs;
    else merged.set(key, event);
  }
  events = [...merged.values()].sort((a, b) => b.recordedAtMs - a.recordedAtMs).slice(0, limits.eventsShown);
  shownKeys = new Set(events.map(keyOf));
  for (const speaker of speakers.values()) speaker.lately = [];
  for (const event of events) {
    const lately = speakers.get(event.speakerId)?.lately;
    if (lately && lately.length < limits.latelyShown) lately.push(event);
  }
  byId('events').replaceChildren(...events.map(event => eventRow(event)));
  drawSoon();
}

/** One announcement of the live stream. */
function receive(type, announcement) {
  if (type === 'leftOut') {
    leftOutCount += Number(announcement.count) || 0;
    refreshSpeakers(); // What was left out may have changed them.
    return drawSoon();
  }
  if (!['enter', 'leave', 'played', 'failed'].includes(type)) return;
  const event = happeningOf({ ...announcement, type, recordedAt: undefined });
  arrivedInWindow++;
  const speaker = speakers.get(event.speakerId);
  if (!speaker)
    refreshSpeakers(); // Registered elsewhere a moment ago.
  else {
    if (type === 'enter' || type === 'leave') {
      speaker.presence = type === 'enter' ? 'home' : 'away';
      speaker.presenceSince = event.at;
      speaker.presenceSetAt = performance.now();
    }
    if (!speaker.lately.some(known => keyOf(known) === keyOf(event))) {
      speaker.lately = [event, ...speaker.lately].slice(0, limits.latelyShown);
    }
  }
  if (isPaused) arrivedWhilePaused++;
  arrived.push(event);
  if (arrived.length > 2 * limits.eventsShown) arrived.splice(0, limits.eventsShown); // E.g. a tab in the background.
  if (event.speakerId === selectedId) noteForSheet(event);
  drawSoon();
}

// ---- Drawing: at most once per frame, however much arrives

let isDrawPlanned = false;

function drawSoon() {
  if (isDrawPlanned) return;
  isDrawPlanned = true;
  requestAnimationFrame(() => {
    isDrawPlanned = false;
    if (!session) return;
    drawEvents();
    drawCards();
    drawSummary();
    drawSheet();
  });
}

function drawEvents() {
  if (!isPaused && arrived.length > 0) {
    const fresh = [];
    for (const event of arrived.splice(0).slice(-limits.eventsShown)) {
      const key = keyOf(event);
      if (shownKeys.has(key)) continue;
      shownKeys.add(key);
      fresh.unshift(event);
    }
    events = [...fresh, ...events];
    for (const gone of events.splice(limits.eventsShown)) shownKeys.delete(keyOf(gone));
    prependRows(
      byId('events'),
      fresh.map(event => eventRow(event)),
      limits.eventsShown,
    );
  }
  setText(byId('pause'), isPaused ? `Resume${arrivedWhilePaused ? ` · ${arrivedWhilePaused} new` : ''}` : 'Pause');
  byId('pause').hidden = events.length === 0 && arrived.length === 0;
  byId('no-events').hidden = !haveSpeakersLoaded || events.length > 0;
  byId('left-out').hidden = leftOutCount === 0;
  setText(byId('left-out'), `${count(leftOutCount, 'event')} left out: they came faster than this page could be told.`);
}

/** A few rows may arrive with a movement; a flood may not. */
function prependRows(list, rows, rowsMax) {
  if (arrivedInWindow <= limits.calmEventsPer5s) for (const row of rows) row.classList.add('fresh');
  list.prepend(...rows);
  while (list.childElementCount > rowsMax) list.lastElementChild.remove();
}

/** Fills `element` with what happened, in words. @param {any} element @param {Happening} happening */
function tell(element, { type, text = '', detail }) {
  if (type === 'enter') return element.replaceChildren('Somebody came');
  if (type === 'leave') return element.replaceChildren('Somebody left');
  const words = [type === 'played' ? 'Said ' : 'Could not say ', foreign(text, 'quote')];
  element.replaceChildren(...words, ...(type === 'failed' && detail ? [': ', foreign(detail, 'reason')] : []));
}

/** @param {Happening} event */
function eventRow(event, showSpeaker = true) {
  const row = fromTemplate('event-template');
  row.dataset.type = event.type;
  setIcon(row, event.type);
  tell(row.querySelector('.event-text'), event);
  const name = row.querySelector('.speaker');
  if (showSpeaker) setForeign(name, event.name ?? event.speakerId);
  else name.remove();
  setTime(row.querySelector('time'), event.at);
  const latency = row.querySelector('.latency');
  if (event.latencyMs === undefined) latency.remove();
  else {
    latency.textContent =
      event.latencyMs < 10_000 ? `${Math.round(event.latencyMs)} ms` : `${Math.round(event.latencyMs / 1_000)} s`;
    latency.title = /enter|leave/.test(event.type)
      ? 'From its arrival until it was told'
      : 'From sending to the answer of the speaker';
  }
  return row;
}

/** @type {Map<string, any>} */
const cards = new Map();
const presenceWords = { home: 'Somebody is home', away: 'Nobody is home', unknown: 'Not known yet' };

function drawCards() {
  const list = byId('speakers');
  for (const [speakerId, card] of cards) {
    if (speakers.has(speakerId)) continue;
    card.remove();
    cards.delete(speakerId);
  }
  /** @type {any} */
  let before;
  for (const speaker of speakers.values()) {
    let card = cards.get(speaker.speakerId);
    if (!card) {
      card = fromTemplate('card-template');
      card.querySelector('.card-name').addEventListener('click', () => openSheet(speaker.speakerId));
      cards.set(speaker.speakerId, card);
    }
    const place = before ? before.nextSibling : list.firstChild;
    if (card !== place) list.insertBefore(card, place); // Only when the order changed: moving it would take the focus.
    drawCard(card, speaker);
    before = card;
  }
  byId('no-speakers').hidden = !haveSpeakersLoaded || speakers.size > 0;
  byId('add-speaker').classList.toggle('needless', speakers.size === 0);
  byId('speakers-more').hidden = !hasMoreSpeakers;
  setText(byId('speakers-more'), `The newest ${count(speakers.size, 'speaker')} of more.`);
}

/** @param {Speaker} speaker */
function drawCard(card, speaker) {
  setForeign(card.querySelector('bdi'), speaker.name);
  drawPresence(card, card.querySelector('.house'), speaker);
  const connection = card.querySelector('.link-state');
  connection.dataset.connected = speaker.connected;
  setText(connection.lastElementChild, speaker.connected ? 'Connected' : 'Not connected');
  const latelyKeys = speaker.lately.map(keyOf).join('\n');
  if (card.latelyKeys === latelyKeys) return;
  card.latelyKeys = latelyKeys;
  card.querySelector('.lately').replaceChildren(...speaker.lately.map(latelyRow));
}

/** @param {any} card @param {any} house @param {Speaker} speaker */
function drawPresence(card, house, { presence, presenceSince }) {
  card.dataset.presence = presence;
  house.dataset.presence = presence;
  setText(card.querySelector('.presence'), presenceWords[presence] ?? presenceWords.unknown);
  const time = card.querySelector('.state time');
  time.hidden = !presenceSince || presence === 'unknown';
  if (presenceSince) setTime(time, presenceSince, 'for');
}

function latelyRow(event) {
  const row = fromTemplate('lately-template');
  setIcon(row, event.type);
  tell(row.querySelector('.lately-text'), event);
  setTime(row.querySelector('time'), event.at);
  return row;
}

function drawSummary() {
  if (!haveSpeakersLoaded) return;
  const all = [...speakers.values()];
  const home = all.filter(({ presence }) => presence === 'home').length;
  const away = all.filter(({ presence }) => presence === 'away').length;
  const connected = all.filter(speaker => speaker.connected).length;
  const title =
    home > 0 ? 'Somebody is home' : away > 0 ? 'Nobody is home' : all.length > 0 ? 'Waiting for somebody' : 'Welcome';
  setText(byId('summary'), title);
  const places =
    all.length > 1 && home > 0 ? `${home === all.length ? 'At all' : `At ${home} of`} ${all.length} speakers. ` : '';
  const links =
    connected === all.length
      ? 'Every speaker is connected.'
      : `${connected} of ${count(all.length, 'speaker')} connected.`;
  setText(
    byId('summary-more'),
    all.length === 0 ? 'Register a speaker, and this page tells whether somebody is at home.' : places + links,
  );
  document.title = all.length === 0 ? 'Mimamori' : `${title} · Mimamori`;
}

// ---- Live

/** @type {AbortController | undefined} the live connection that is open or being opened */
let live;
/** @type {() => void} ends the wait before the next attempt */
let retryNow = () => {};

/** @param {'live' | 'connecting' | 'waiting'} state */
function showConnection(state, hint = '') {
  const element = byId('connection');
  element.dataset.state = state;
  element.title = hint;
  setText(element.lastElementChild, { live: 'Live', connecting: 'Connecting…', waiting: 'Reconnecting…' }[state]);
}

/** Follows the live stream until the session ends; comes back with growing delays, so that a restart is not stormed. */
async function stayLive(/** @type {Session} */ mine) {
  let retryMs = limits.retryFirstMs;
  showConnection('connecting');
  while (!mine.ended.signal.aborted) {
    let readyAt = Number.POSITIVE_INFINITY;
    let reason = 'The connection was closed.';
    live = new AbortController();
    const current = live;
    const tooLate = setTimeout(() => current.abort(), limits.requestMs);
    try {
      const response = await send('/v1/live', { signal: AbortSignal.any([mine.ended.signal, current.signal]) });
      for await (const { type, data } of readEventStream(/** @type {any} */ (response.body))) {
        if (type === 'ready') {
          clearTimeout(tooLate);
          readyAt = performance.now();
          showConnection('live');
          refreshSpeakers();
          if (haveSpeakersLoaded) loadHistory();
        } else receive(type, JSON.parse(data));
      }
    } catch (error) {
      reason = error instanceof Problem ? `${error.message} ${error.fix}` : reason;
    }
    clearTimeout(tooLate);
    current.abort(); // Frees a stream that was left in the middle.
    if (mine.ended.signal.aborted) return;
    if (performance.now() - readyAt > limits.stableMs) retryMs = limits.retryFirstMs;
    showConnection('waiting', reason);
    await new Promise(resolve => {
      retryNow = () => resolve(undefined);
      setTimeout(resolve, retryMs * (0.75 + Math.random() / 2)); // Not all pages at once.
    });
    retryMs = Math.min(retryMs * 2, limits.retryLastMs);
  }
}

// ---- One speaker

/** @type {string | undefined} */
let selectedId;
/** @type {Message[]} newest first */
let messages = [];
/** @type {string | undefined} */
let nextMessages;
let haveMessagesLoaded = false;
/** @type {Happening[]} newest first */
let sheetEvents = [];
/** @type {Happening[]} not drawn yet, oldest first */
let arrivedForSheet = [];
let haveSheetEventsLoaded = false;

function openSheet(speakerId) {
  selectedId = speakerId;
  [messages, nextMessages, haveMessagesLoaded] = [[], undefined, false];
  [sheetEvents, arrivedForSheet, haveSheetEventsLoaded] = [[], [], false];
  byId('messages').replaceChildren();
  byId('history').replaceChildren();
  byId('more-messages').hidden = true;
  byId('no-messages').hidden = true;
  byId('no-history').hidden = true;
  byId('message-form').reset();
  showExpiry();
  for (const element of byId('sheet').querySelectorAll('.problem')) showProblem(element, undefined);
  setText(byId('sheet-id'), speakerId);
  const state = byId('sheet-state');
  state.replaceChildren(
    ...['presence', 'connected'].map(className => Object.assign(document.createElement('span'), { className })),
  );
  state.firstElementChild.after(document.createElement('time'), ' · ');
  drawSheet();
  byId('sheet').showModal();
  byId('sheet-name').focus();
  byId('sheet').querySelector('.sheet-body').scrollTop = 0;
  loadMessages();
  loadSheetEvents();
}

function drawSheet() {
  const speaker = selectedId && speakers.get(selectedId);
  if (!speaker) return;
  setForeign(byId('sheet-name'), speaker.name);
  drawPresence(byId('sheet'), byId('sheet-house'), speaker);
  setText(byId('sheet-state').querySelector('.connected'), speaker.connected ? 'connected' : 'not connected');
  drawSheetEvents();
}

async function loadSheetEvents() {
  const speakerId = selectedId;
  if (!speakerId) return;
  try {
    const { items } = await get(pathOf(speakerId, `events?limit=${limits.historyShown}`));
    if (speakerId !== selectedId) return;
    sheetEvents = items.map(item => happeningOf({ ...item, speakerId }));
    haveSheetEventsLoaded = true;
    byId('history').replaceChildren(...sheetEvents.map(event => eventRow(event, false)));
    byId('no-history').hidden = sheetEvents.length > 0;
    drawSheetEvents(); // What came meanwhile.
  } catch (problem) {
    if (speakerId === selectedId) showProblem(byId('messages-problem'), problem);
  }
}

/** Something happened at the speaker whose sheet is open. */
function noteForSheet(event) {
  arrivedForSheet.push(event);
  if (arrivedForSheet.length > 2 * limits.historyShown) arrivedForSheet.splice(0, limits.historyShown);
  const message = messages.find(({ messageId }) => messageId === event.messageId);
  if (message) message.status = event.type;
  loadMessagesSoon();
}

function drawSheetEvents() {
  if (arrivedForSheet.length === 0 || !haveSheetEventsLoaded) return;
  const known = new Set(sheetEvents.map(keyOf));
  const fresh = arrivedForSheet.splice(0).reverse();
  const added = fresh.filter(event => !known.has(keyOf(event))).slice(0, limits.historyShown);
  sheetEvents = [...added, ...sheetEvents].slice(0, limits.historyShown);
  const rows = added.map(event => eventRow(event, false));
  prependRows(byId('history'), rows, limits.historyShown);
  byId('no-history').hidden = true;
  drawMessages();
}

/** The newest page anew; what was loaded behind it stays. */
async function loadMessages() {
  const speakerId = selectedId;
  if (!speakerId) return;
  try {
    const page = await get(pathOf(speakerId, 'messages?limit=50'));
    if (speakerId !== selectedId) return;
    const last = page.items.at(-1);
    const older = page.next ? messages.filter(({ messageId }) => messageId < last.messageId) : [];
    if (older.length === 0) nextMessages = page.next;
    takeMessages([...page.items, ...older]);
    showProblem(byId('messages-problem'), undefined);
  } catch (problem) {
    if (speakerId === selectedId) showProblem(byId('messages-problem'), problem);
  }
}

const loadMessagesSoon = atMostEvery(limits.hurryMs, loadMessages);

async function loadOlderMessages() {
  const speakerId = selectedId;
  const page = await get(pathOf(speakerId, `messages?limit=50&next=${encodeURIComponent(nextMessages ?? '')}`));
  if (speakerId !== selectedId) return;
  nextMessages = page.next;
  const known = new Set(messages.map(({ messageId }) => messageId));
  takeMessages([...messages, ...page.items.filter(({ messageId }) => !known.has(messageId))]);
}

/** @param {Message[]} found */
function takeMessages(found) {
  messages = found.slice(0, limits.messagesShown);
  haveMessagesLoaded = true;
  drawMessages();
}

function drawMessages() {
  const list = byId('messages');
  const rows = new Map([...list.children].map(row => [row.dataset.id, row]));
  const wanted = messages.map(message => {
    const row = rows.get(message.messageId) ?? messageRow(message);
    const { status, playOn } = message;
    row.dataset.status = status;
    setText(row.querySelector('.chip'), statusWords[status] ?? status);
    setText(row.querySelector('.trigger'), triggerWords[playOn] ?? '');
    const isOpen = status === 'waiting' || status === 'sending';
    const until = isOpen && message.expiresAt ? `until ${minuteFormat.format(Date.parse(message.expiresAt))}` : '';
    setText(row.querySelector('.until'), until);
    return row;
  });
  for (const [messageId, row] of rows) if (!messages.some(message => message.messageId === messageId)) row.remove();
  wanted.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  byId('no-messages').hidden = !haveMessagesLoaded || messages.length > 0;
  byId('more-messages').hidden = !nextMessages || messages.length >= limits.messagesShown;
}

const statusWords = { waiting: 'Waiting', sending: 'On its way', played: 'Said', failed: 'Failed', expired: 'Expired' };
const triggerWords = { enter: 'when somebody comes', leave: 'when somebody leaves', now: 'right away' };

/** @param {Message} message */
function messageRow(message) {
  const row = fromTemplate('message-template');
  row.dataset.id = message.messageId;
  setForeign(row.querySelector('bdi'), message.text);
  setTime(row.querySelector('time'), message.createdAt);
  const button = row.querySelector('.delete');
  button.setAttribute('aria-label', `Delete the message: ${message.text.slice(0, 60)}`);
  button.addEventListener('click', () => confirmDelete(button, message));
  return row;
}

/** The first press asks, the second within four seconds deletes. @param {any} button @param {Message} message */
async function confirmDelete(button, message) {
  if (!button.classList.contains('sure')) {
    button.classList.add('sure');
    button.textContent = 'Really delete?';
    button.setAttribute('aria-label', `Really delete? Press again: ${message.text.slice(0, 60)}`);
    setTimeout(() => {
      button.classList.remove('sure');
      button.textContent = 'Delete';
      button.setAttribute('aria-label', `Delete the message: ${message.text.slice(0, 60)}`);
    }, 4_000);
    return;
  }
  button.disabled = true;
  const speakerId = selectedId;
  try {
    await send(pathOf(speakerId, `messages/${encodeURIComponent(message.messageId)}`), { method: 'DELETE' });
  } catch (problem) {
    button.disabled = false;
    if (!(problem instanceof Problem && problem.status === 404)) return showProblem(byId('messages-problem'), problem); // Gone is what was wanted.
  }
  if (speakerId !== selectedId) return;
  takeMessages(messages.filter(({ messageId }) => messageId !== message.messageId));
  byId('messages-title').focus();
}

function showExpiry() {
  const isChosen = byId('expiry').value === 'at';
  byId('expiry-at-box').hidden = !isChosen;
  byId('expiry-at').required = isChosen;
}

function expiryChosen() {
  const { value } = byId('expiry');
  if (value === '') return undefined;
  return new Date(value === 'at' ? byId('expiry-at').value : nowMs() + Number(value)).toISOString();
}

// ---- Forms

/** Runs `work` for each submit, with its problem shown in the form and no second one meanwhile. */
function onSubmit(form, work) {
  form.addEventListener('submit', async event => {
    event.preventDefault();
    const button = form.querySelector('[type=submit]');
    const problemBox = form.querySelector('.problem');
    button.disabled = true;
    showProblem(problemBox, undefined);
    await work().catch(problem => showProblem(problemBox, problem));
    button.disabled = false;
  });
}

onSubmit(byId('message-form'), async () => {
  const speakerId = selectedId;
  const playOn = byId('message-form').elements['play-on'].value;
  const body = { text: byId('message-text').value, playOn, expiresAt: expiryChosen() };
  const message = await (await send(pathOf(speakerId, 'messages'), { method: 'POST', body })).json();
  if (speakerId !== selectedId) return;
  takeMessages([message, ...messages.filter(({ messageId }) => messageId !== message.messageId)]);
  byId('message-text').value = '';
  byId('message-text').focus();
  loadMessages();
});

onSubmit(byId('speaker-form'), async () => {
  const body = { name: byId('speaker-name').value };
  const { credentials } = await (await send('/v1/speakers', { method: 'POST', body })).json();
  showCredentials(credentials);
  refreshSpeakers();
});

/** A word for a POSIX shell that cannot end early, whatever is in it. */
const shellWord = text => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function showCredentials({ clientId, username, password }) {
  const { hostname } = location;
  const login = `-u ${shellWord(username)} -P ${shellWord(password)} -q 1`;
  const server = `-h ${shellWord(hostname.replace(/^\[|\]$/g, ''))} -p 1883`;
  const topic = `speaker-app/play-message/${clientId}/req`;
  const values = {
    'client-id': clientId,
    username,
    password,
    'subscribe-line': `mosquitto_sub ${server} -i ${shellWord(clientId)} ${login} -t ${shellWord(`cmd/${topic}`)} -v`,
    'publish-line': `mosquitto_pub ${server} -i ${shellWord(`${clientId}.pub`)} ${login} -t ${shellWord(`dt/speaker-app/detect-person/${clientId}/enter`)} -m "{\\"at\\":\\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\\"}"`,
  };
  for (const [id, value] of Object.entries(values)) setText(byId(id), value);
  byId('speaker-form').hidden = true;
  byId('credentials').hidden = false;
  setForeign(byId('speaker-dialog-title'), byId('speaker-name').value);
  byId('speaker-dialog-title').focus();
}

function openSpeakerDialog() {
  byId('speaker-form').reset();
  showProblem(byId('speaker-form').querySelector('.problem'), undefined);
  byId('speaker-form').hidden = false;
  byId('credentials').hidden = true;
  setForeign(byId('speaker-dialog-title'), 'Add a speaker');
  byId('speaker-dialog').showModal();
  byId('speaker-name').focus();
}

/** Copies what stands beside the button; where the browser does not allow that, selects it. */
async function copyBeside(button) {
  const code = button.parentElement.querySelector('code');
  const hasCopied = await navigator.clipboard?.writeText(code.textContent).then(
    () => true,
    () => false,
  );
  if (!hasCopied) getSelection()?.selectAllChildren(code);
  button.textContent = hasCopied ? 'Copied' : 'Selected';
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 2_000);
}

// ---- Session

const tokenKey = 'mimamori.token';

/** What the token says of itself. The server checks it; here it only decides what to show. */
function claimsOf(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), c =>
      c.charCodeAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}

/** What was pasted, without what people paste along. Undefined if it cannot be a token. */
function tokenFrom(text) {
  const token = text.trim().replace(/^(Bearer\s+|.*#token=)/i, '');
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) && token.length <= 8_192 ? token : undefined;
}

function startSession(token, isDemo = false) {
  endSession();
  const { sub = '', scope } = claimsOf(token);
  session = { token, user: String(sub), mayWrite: scope !== 'read', isDemo, ended: new AbortController() };
  if (!isDemo) sessionStorage.setItem(tokenKey, token);
  forgetAll();
  byId('welcome').hidden = true;
  byId('home').hidden = false;
  byId('connection').hidden = false;
  byId('demo-note').hidden = !isDemo;
  byId('sign-out').hidden = isDemo;
  byId('sign-out').title = session.user;
  setMayWrite(session.mayWrite);
  refreshSpeakers();
  stayLive(session);
}

/** Back to the form; `problem` says why, unless it was asked for. */
function endSession(/** @type {Problem | undefined} */ problem = undefined) {
  if (!session) return;
  const { ended, isDemo } = session;
  session = undefined;
  if (!isDemo) sessionStorage.removeItem(tokenKey);
  ended.abort();
  retryNow();
  forgetAll();
  byId('sheet').close();
  byId('speaker-dialog').close();
  forgetCredentials();
  showProblem(byId('page-problem'), undefined);
  askForToken(problem);
}

async function askForToken(problem, mayHaveDemo = true) {
  document.title = 'Mimamori';
  for (const id of ['home', 'connection', 'demo-note', 'sign-out', 'demo-offer']) byId(id).hidden = true;
  byId('welcome').hidden = false;
  showProblem(byId('token-form').querySelector('.problem'), problem);
  const demo = mayHaveDemo && (await findDemo());
  byId('demo-offer').hidden = !demo || Boolean(session);
}

/** @returns {Promise<string | undefined>} a token for the simulated household, if there is one */
async function findDemo() {
  const response = await fetch('/demo-token', { signal: AbortSignal.timeout(limits.requestMs) }).catch(() => undefined);
  return response?.ok ? (await response.json()).token : undefined;
}

function setMayWrite(mayWrite) {
  if (session) session.mayWrite = mayWrite;
  document.body.classList.toggle('may-write', mayWrite);
}

function forgetCredentials() {
  for (const id of ['client-id', 'username', 'password', 'subscribe-line', 'publish-line']) setText(byId(id), '');
}

onSubmit(byId('token-form'), async () => {
  const token = tokenFrom(byId('token').value);
  if (!token) {
    throw new Problem(0, {
      detail: 'This is not a whole token.',
      fix: 'Copy all of what the command printed: three parts with two dots between.',
    });
  }
  byId('token').value = '';
  startSession(token);
});

/** Takes a token out of the address, so that it is in no bookmark, history or screenshot. */
function tokenOfAddress() {
  if (!location.hash.startsWith('#token=')) return undefined;
  const token = tokenFrom(location.hash);
  window.history.replaceState(null, '', location.pathname + location.search);
  return token;
}

async function start() {
  const token = tokenOfAddress() ?? tokenFrom(sessionStorage.getItem(tokenKey) ?? '');
  if (token) return startSession(token);
  const demo = await findDemo();
  if (demo) startSession(demo, true);
  else askForToken(undefined, false);
}

// ---- Buttons and clocks

byId('sign-out').addEventListener('click', () => endSession());
byId('own-token').addEventListener('click', () => {
  endSession();
  byId('token').focus();
});
byId('demo-open').addEventListener('click', async () => {
  const demo = await findDemo();
  if (demo) startSession(demo, true);
});
byId('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  arrivedWhilePaused = 0;
  drawSoon();
});
byId('add-speaker').addEventListener('click', openSpeakerDialog);
byId('first-speaker').addEventListener('click', openSpeakerDialog);
byId('credentials-done').addEventListener('click', () => byId('speaker-dialog').close());
byId('more-messages').addEventListener('click', () =>
  loadOlderMessages().catch(problem => showProblem(byId('messages-problem'), problem)),
);
byId('expiry').addEventListener('change', showExpiry);
byId('feed').tabIndex = 0; // It scrolls on a wide screen, and not every browser lets the keyboard do that.
byId('speaker-dialog').addEventListener('close', forgetCredentials);
byId('speaker-dialog').addEventListener('cancel', event => {
  if (!byId('credentials').hidden) event.preventDefault(); // They cannot be shown again.
});
byId('sheet').addEventListener('close', () => {
  selectedId = undefined;
});
byId('sheet').addEventListener('click', event => {
  if (event.target === byId('sheet')) byId('sheet').close(); // Beside it.
});
for (const button of document.querySelectorAll('dialog .close')) {
  button.addEventListener('click', () => button.closest('dialog')?.close());
}
for (const button of document.querySelectorAll('.copy')) button.addEventListener('click', () => copyBeside(button));

window.addEventListener('hashchange', () => {
  const token = tokenOfAddress();
  if (token) startSession(token);
});
window.addEventListener('online', () => retryNow());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  retryNow();
  refreshTimes();
  if (session) refreshSpeakers();
});
setInterval(() => {
  refreshTimes();
  if (session && !document.hidden) refreshSpeakers();
}, limits.refreshMs);
setInterval(() => {
  const isCalm = arrivedInWindow <= limits.calmEventsPer5s;
  byId('feed').setAttribute('aria-live', isCalm ? 'polite' : 'off');
  setText(byId('busy'), isCalm ? '' : `${arrivedInWindow} events in five seconds`);
  arrivedInWindow = 0;
}, 5_000);

start();
