// Keeps a page current. Without this script all links and forms work too.
'use strict';
(() => {
  const changes = document.body.dataset.changes;
  if (!changes) return;

  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const header = { 'Flipper-Script': '1' };
  // Between two loads, while much changes: it grows from the first to the second.
  const PAUSE = 200;
  const LONGEST_PAUSE = 1000;
  const LONGEST_TIMER = 2 ** 31 - 1;
  // A stream that ends begins again within this time.
  const GRACE = 3500;
  const SILENCE = 6000;
  // The name of the flag, if this is the page of one.
  const own = find('#flag')?.dataset.name;
  const isFlag = own !== undefined;
  const calm = matchMedia('(prefers-reduced-motion: reduce)');

  // A message of what was done is for one look.
  const place = new URL(location.href);
  if (place.searchParams.has('done')) {
    place.searchParams.delete('done');
    history.replaceState(null, '', place);
  }
  // The answer to a form is no place of its own.
  let here = isFlag ? new URL(find('#flip input[name=back]').value, place).href : place.href;

  // What is current: the same page again, of which the live parts are taken.

  let loading = null;
  let again = false;

  const refresh = () => {
    again = true;
    loading ??= (async () => {
      for (let pause = PAUSE; again; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
        again = false;
        await load();
        if (again) await new Promise((done) => setTimeout(done, pause));
      }
    })().finally(() => {
      loading = null;
      turn();
    });
    return loading;
  };

  // No change reports that a schedule turns. The server's clock decides, and the browser's may be another: a look that comes too early is repeated.
  let turning = 0;
  const behind = (page) => page.body.dataset.now * 1000 - Date.now();
  let skew = behind(document);
  const turn = () => {
    clearTimeout(turning);
    if (document.hidden) return;
    const next = Math.min(...all('[data-turn]').map((element) => element.dataset.turn * 1000 - Date.now() - skew));
    if (next < LONGEST_TIMER) turning = setTimeout(refresh, Math.max(next, LONGEST_PAUSE));
  };

  const load = async () => {
    const asked = here;
    const response = await fetch(asked, { headers: header, signal: AbortSignal.timeout(2 * SILENCE) }).catch(() => null);
    // Proxies answer so for a server that they do not reach.
    if (!response || [502, 504].includes(response.status)) {
      if (Date.now() - heard >= GRACE) lost(true);
      return;
    }
    alive();
    if (response.redirected && new URL(response.url).pathname.endsWith('/login')) return location.assign(response.url);
    if (response.status === 404 && isFlag) return warn('Another has destroyed this flag.');
    if (!response.ok || asked !== here) return;
    const text = await response.text().catch(() => null);
    if (text !== null) take(new DOMParser().parseFromString(text, 'text/html'));
  };

  const take = (page) => {
    skew = behind(page);
    const before = states();
    const token = find('input[name=csrf]', page)?.value;
    if (token) all('input[name=csrf]').forEach((input) => { input.value = token; });
    const back = find('#flip input[name=back]', page)?.value;
    if (back) all('#flip input[name=back]').forEach((input) => { input.value = back; });
    for (const part of all('[data-live]')) {
      const next = page.getElementById(part.id);
      if (!next) continue;
      if (part.matches('ul') && next.matches('ul')) rows(part, next);
      else if (part.outerHTML === next.outerHTML) continue;
      // A screen reader speaks what changes within a region, and not a new region.
      else if (part.matches('[role=status]')) part.replaceChildren(...next.childNodes);
      else swap(part, next);
    }
    form(page);
    say(before, states());
  };

  const rows = (list, next) => {
    const old = new Map([...list.children].map((row) => [row.dataset.name, row]));
    let at = list.firstElementChild;
    for (const row of [...next.children]) {
      const was = old.get(row.dataset.name);
      old.delete(row.dataset.name);
      const same = was?.outerHTML === row.outerHTML;
      if (was && !same) {
        if (at === was) at = row;
        swap(was, row);
      }
      const kept = same ? was : row;
      if (at === kept) at = kept.nextElementSibling;
      else list.insertBefore(kept, at);
      if (!same) flash(kept);
    }
    old.forEach((row) => row.remove());
  };

  const flash = (row) => {
    if (!calm.matches) row.animate([{ backgroundColor: 'var(--flash)' }, {}], { duration: 1200, easing: 'ease-out' });
  };

  // The focus stays where it was.
  const swap = (part, next) => {
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const key = (element) => element.tagName + (element.id || element.getAttribute('aria-label') || element.textContent);
    part.replaceWith(next);
    if (focus) all('a, button, input, select, textarea', next).find((other) => key(other) === key(focus))?.focus({ preventScroll: true });
  };

  // A form that someone fills in is not replaced.
  const form = (page) => {
    const edit = find('#edit');
    const next = find('#edit', page);
    if (!edit || !next || edit.dataset.version === next.dataset.version) return;
    const destroy = find('[data-version-of]');
    if (destroy) destroy.value = find('[data-version-of]', page)?.value ?? destroy.value;
    if (!isChanged(edit)) {
      for (const kept of ['#users', '#preview']) find(kept, next)?.replaceWith(find(kept, edit));
      swap(edit, next);
    } else if (fields(edit).every((field) => initial(field) === initial(next.elements[field.name]?.length ? find(`#${field.id}`, next) : next.elements[field.name]))) {
      // Only what the form has no field for.
      for (const name of ['version', 'base']) edit.elements[name].value = next.elements[name].value;
      edit.dataset.version = next.dataset.version;
    } else {
      warn('Another has changed this flag while you edit it. If you save, the page shows both sides first.');
    }
  };

  const fields = (edit) => [...edit.elements].filter((field) => field.id && field.name && field.id !== 'users' && field.type !== 'hidden' && field.tagName !== 'BUTTON');
  const isBox = (field) => field.type === 'checkbox' || field.type === 'radio';
  const initial = (field) => field && String(isBox(field) ? field.defaultChecked : field.defaultValue);
  const isChanged = (edit) =>
    'draft' in edit.dataset || fields(edit).some((field) => String(isBox(field) ? field.checked : field.value) !== initial(field));

  const warn = (text) => {
    const place = find('#changed');
    if (place) Object.assign(place, { textContent: text, hidden: false });
  };

  // For those who do not see it.
  const states = () => new Map(all('.switch, .badge[data-state]').map((element) => [element.getAttribute('aria-label') ?? element.dataset.flag, element.textContent]));
  const say = (before, after) => {
    const news = [...after].filter(([name, state]) => before.has(name) && before.get(name) !== state);
    if (news.length === 0) return;
    find('#said').textContent = news.length > 3
      ? `${news.length} flags have changed.`
      : news.map(([name, state]) => `${name} is now ${state.toLowerCase()}.`).join(' ');
  };

  // The switch first: the rest of the row comes with the page, which takes longer.
  const flip = (changes) => {
    const before = states();
    for (const { name, record } of changes) {
      const row = all('#flag, #flags > li').find((row) => row.dataset.name === name);
      const state = row && find('.switch, .badge[data-state]', row);
      const isOn = state && record ? enabled(record) : null;
      if (isOn === null) continue;
      state.textContent = isOn ? 'On' : 'Off';
      if (state.matches('.switch')) state.setAttribute('aria-checked', isOn);
      else state.classList.toggle('on', isOn);
    }
    say(before, states());
  };

  // Stored numbers need not be JSON.
  const enabled = (record) => {
    try {
      const { is_enabled: isEnabled, meta = {} } = JSON.parse(record);
      // What Python finds off has its own state beside it.
      const isOn = isEnabled !== false || meta.enabled === true;
      const { enable_at: from = -Infinity, disable_at: to = Infinity } = meta.schedule ?? {};
      const now = Date.now() / 1000;
      return isOn && from <= now && now < to;
    } catch {
      return null;
    }
  };

  // What changes: the server reports it at once, and that it is there once a second.

  let source = null;
  let began = 0;
  let heard = 0;

  const lost = (is) => {
    const place = find('#lost');
    if (place.hidden !== is) return;
    place.hidden = !is;
    place.textContent = is ? 'The connection to the server is lost. What you see may be out of date.' : '';
  };

  const alive = () => {
    heard = Date.now();
    lost(false);
  };

  const connect = () => {
    source?.close();
    began = Date.now();
    source = new EventSource(changes);
    source.addEventListener('hello', alive);
    source.addEventListener('changes', (event) => {
      alive();
      const { reset, changes, lost: doubt } = JSON.parse(event.data);
      const isShown = find('#banner').childElementCount > 0;
      const isHere = isFlag ? changes.some(({ name }) => name === own) : changes.length > 0;
      flip(changes);
      if (reset || isHere || (doubt !== null) !== isShown) refresh();
    });
    // The server ends each stream after some minutes, or refuses it: because the login is over, or there are no flags yet. The page shows which.
    source.addEventListener('error', () => {
      const since = Date.now();
      setTimeout(() => { if (heard < since && !document.hidden) refresh(); }, GRACE);
    });
  };

  const begin = () => {
    heard = Date.now();
    connect();
  };

  // A hidden page gives its connection back: browsers have few for one server.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return source?.close();
    begin();
    turn();
  });
  setInterval(() => {
    if (document.hidden) return;
    const isSilent = Date.now() - heard > SILENCE;
    const isClosed = source?.readyState === EventSource.CLOSED;
    // A server that takes the request and never answers.
    if (Date.now() - heard > 2 * SILENCE) lost(true);
    if (isClosed || (isSilent && Date.now() - began > SILENCE)) connect();
    if (isSilent || isClosed || find('#facts')) refresh();
  }, 3000);
  if (!document.hidden) begin();
  turn();

  // Forms that need no new page.

  document.addEventListener('submit', async (event) => {
    const { target, submitter } = event;
    const isFlip = target.id === 'flip' && submitter;
    const isPreview = submitter?.value === 'preview';
    if (!isFlip && !isPreview) return;
    event.preventDefault();
    if (submitter.getAttribute('aria-busy')) return;
    submitter.setAttribute('aria-busy', 'true');
    const body = new URLSearchParams(new FormData(target, submitter));
    const response = await fetch(target.getAttribute('action'), { method: 'POST', headers: header, body }).catch(() => null);
    submitter.removeAttribute('aria-busy');
    if (!response) return lost(true);
    if (isPreview && response.ok && !response.redirected) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      return find('#preview').replaceChildren(...(find('#preview', page)?.childNodes ?? []));
    }
    if (response.status === 204) return refresh();
    // A question, a conflict or a failure, which the browser then shows. A form is of one version, so no write happens twice.
    const input = Object.assign(document.createElement('input'), { type: 'hidden', name: submitter.name, value: submitter.value });
    target.append(input);
    target.submit();
    // The next switch has one of its own.
    input.remove();
  });

  document.addEventListener('input', ({ target }) => {
    const edit = target.closest('#edit');
    const hint = find('#unsaved');
    if (edit && hint) {
      hint.hidden = !isChanged(edit);
      edit.toggleAttribute('data-dirty', !hint.hidden);
    }
    if (target.form?.matches('.search')) search(target.form);
  });

  let typing = 0;
  const search = (form) => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
      const url = new URL(form.getAttribute('action'), location.href);
      url.search = query;
      here = url.href;
      history.replaceState(null, '', url);
      refresh();
    }, 120);
  };
})();
