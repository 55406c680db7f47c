// Where the provider keeps its tokens, grants and sessions: maps without a limit. It knows when a refresh token was rotated,
// to the millisecond, which the grace period needs.

const models = new Map();
const uids = new Map();
const userCodes = new Map();

export class Storage {
  constructor(name) {
    this.name = name;
    if (!models.has(name)) models.set(name, new Map());
    this.rows = models.get(name);
  }

  async upsert(id, payload, expiresIn) {
    const end = typeof expiresIn === 'number' ? Date.now() + expiresIn * 1000 : Infinity;
    this.rows.set(id, { payload, end });
    if (payload.uid) uids.set(payload.uid, id);
    if (payload.userCode) userCodes.set(payload.userCode, id);
  }

  async find(id) {
    const row = this.rows.get(id);
    if (row && row.end < Date.now()) this.rows.delete(id);
    return row && row.end >= Date.now() ? row.payload : undefined;
  }

  findByUid(uid) {
    return this.find(uids.get(uid));
  }

  findByUserCode(code) {
    return this.find(userCodes.get(code));
  }

  async consume(id) {
    const row = this.rows.get(id);
    if (!row) return;
    row.payload.consumed = Math.floor(Date.now() / 1000);
    row.rotatedAt ??= Date.now();
  }

  async destroy(id) {
    this.rows.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const [id, { payload }] of this.rows) if (payload.grantId === grantId) this.rows.delete(id);
  }
}

/** The rows of one kind (`RefreshToken`, `Grant`...), by id. */
export const rows = (name) => new Storage(name).rows;

/** Ends grants with all their tokens, those for which `matches(grant)` holds; returns how many. */
export function endGrants(matches) {
  const ended = new Set();
  for (const [id, { payload }] of rows('Grant')) {
    if (!matches(payload)) continue;
    ended.add(id);
    rows('Grant').delete(id);
  }
  for (const kind of ['AccessToken', 'RefreshToken', 'AuthorizationCode', 'DeviceCode']) {
    for (const [id, { payload }] of rows(kind)) if (ended.has(payload.grantId)) rows(kind).delete(id);
  }
  return ended.size;
}
