// mysql2, the driver of most Node programs: `query` sends texts, `execute` prepares statements and keeps them for the connection.
'use strict';

const { createHash } = require('node:crypto');
const { Readable } = require('node:stream');
const mysql = require('mysql2/promise');
const { Checks, columnsOfEveryType, isSameServerText, serverText, target: targetOf } = require('./checks.js');

const LARGE = 20 << 20;
// Enough ids that every shard has some.
const IDS = Array.from({ length: 16 }, (_, n) => n + 1);

const target = targetOf(process.argv);
const checks = new Checks(`mysql2 ${require('mysql2/package.json').version}`);

function connect(options) {
  const { host, port, user, password, database } = target;
  const tls = { rejectUnauthorized: false };
  const results = { dateStrings: true, supportBigNumbers: true, rowsAsArray: true };
  return mysql.createConnection({ host, port, user, password, database, ssl: tls, ...results, ...options });
}

async function withConnection(use, options) {
  const connection = await connect(options);
  try {
    await use(connection);
  } finally {
    connection.destroy();
  }
}

const WAYS = {
  query: async (connection, sql, parameters) => (await connection.query(sql, parameters))[0],
  execute: async (connection, sql, parameters) => (await connection.execute(sql, parameters))[0],
};
const { query, execute } = WAYS;

async function connecting() {
  const old = { ssl: { rejectUnauthorized: false, maxVersion: 'TLSv1.2' } };
  for (const [name, options] of [['plain', { ssl: undefined }], ['TLS', {}], ['TLS 1.2', old]]) {
    await withConnection(async (connection) => {
      checks.equal(`${name}: DATABASE()`, await query(connection, 'SELECT DATABASE()'), [[target.database]]);
      checks.equal(`${name}: on TLS`, Boolean(connection.connection.stream.encrypted), name !== 'plain');
      const [[id]] = await query(connection, 'SELECT CONNECTION_ID()');
      checks.equal(`${name}: the connection's number`, connection.threadId, id);
    }, options);
  }
  await checks.refused('a wrong password', 1045, '28000', () => connect({ password: 'wrong' }));
  await checks.refused('an unknown database', 1049, '42000', () => connect({ database: 'no_such_db' }));
  await withConnection(async (connection) => {
    checks.equal('no database', await execute(connection, 'SELECT DATABASE()'), [[null]]);
    await checks.refused('none selected', 1046, '3D000', () => execute(connection, 'SELECT * FROM settings'));
    await query(connection, `USE \`${target.database}\``);
    checks.equal('after USE', await query(connection, 'SELECT DATABASE()'), [[target.database]]);
    // The driver still has it prepared from before.
    checks.equal('a statement keeps the database of its PREPARE', await execute(connection, 'SELECT DATABASE()'), [[null]]);
  }, { database: undefined });
}

async function queries(connection) {
  for (const id of IDS) {
    await execute(connection, 'DELETE FROM entries WHERE account_id = ?', [id]);
    await execute(connection, 'DELETE FROM accounts WHERE id = ?', [id]);
    const inserted = await execute(connection, 'INSERT INTO accounts VALUES (?, ?, ?)', [id, `owner ${id}`, 100]);
    checks.equal('INSERT', inserted.affectedRows, 1);
  }
  for (const [way, ask] of Object.entries(WAYS)) {
    for (const id of IDS) {
      const [rows, fields] = await connection[way]('SELECT id, owner AS o, balance FROM accounts WHERE id = ?', [id]);
      checks.equal(`${way}: account ${id}`, rows, [[id, `owner ${id}`, 100]]);
      const names = fields.map(({ schema, db, orgTable, orgName, name }) => [schema || db, orgTable, orgName, name]);
      checks.equal(`${way}: names`, names[1], [target.database, 'accounts', 'owner', 'o']);
    }
    for (const key of ['7', '7.0', 7]) {
      checks.equal(`${way}: a key as ${typeof key}`, await ask(connection, 'SELECT id FROM accounts WHERE id = ?', [key]), [[7]]);
    }
    checks.equal(`${way}: a key of NULL`, await ask(connection, 'SELECT id FROM accounts WHERE id = ?', [null]), []);
    const name = await ask(connection, "SELECT name FROM countries WHERE code = 'JP'");
    checks.equal(`${way}: a reference table`, name, [['日本']]);
    checks.equal(`${way}: no table`, await ask(connection, "SELECT ?, 'ü'", ['ä']), [['ä', 'ü']]);
  }
}

function toParameter(kind, text) {
  if (kind === 'bytes') {
    return Buffer.from(text, 'hex');
  }
  if (kind === 'bit') {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(text));
    return Number(text) > 4095 ? bytes : bytes.subarray(6);
  }
  const isExact = kind === 'float' || (kind === 'int' && Number.isSafeInteger(Number(text)));
  return isExact ? Number(text) : text;
}

// BIT comes as bytes. In binary rows the driver leaves out a fraction of zero.
function fromDriver(kind, value) {
  if (kind === 'bit' && Buffer.isBuffer(value)) {
    return BigInt(`0x${value.toString('hex')}`);
  }
  return kind === 'time' || kind === 'datetime' ? withoutZeroFraction(value) : value;
}

function withoutZeroFraction(text) {
  return text === null ? null : text.replace(/\.0+$/, '');
}

function toExpected(kind, text) {
  if (kind === 'bytes') {
    return Buffer.from(text, 'hex');
  }
  if (kind === 'bit') {
    return BigInt(text);
  }
  if (kind === 'json') {
    return JSON.parse(text);
  }
  if (kind === 'time' || kind === 'datetime') {
    return withoutZeroFraction(text);
  }
  const isNumber = kind === 'float' || (kind === 'int' && Number.isSafeInteger(Number(text)));
  return isNumber ? Number(text) : text;
}

async function everyType(connection) {
  await query(connection, "SET time_zone = '+00:00'");
  const columns = columnsOfEveryType();
  const names = columns.map(({ column }) => column).join(', ');
  const spelled = columns.map(({ column, kind }) => serverText(column, kind)).join(', ');
  const marks = columns.map(() => '?').join(', ');
  const firstId = { query: 301, execute: 401 };
  for (const [way, ask] of Object.entries(WAYS)) {
    for (const row of [0, 1, 2, 3]) {
      const id = firstId[way] + row;
      // The last row is all NULL.
      const texts = columns.map(({ values }) => (row < 3 ? values[row] : null));
      const sent = columns.map(({ kind }, n) => (texts[n] === null ? null : toParameter(kind, texts[n])));
      await ask(connection, 'DELETE FROM every_type WHERE id = ?', [id]);
      await ask(connection, `INSERT INTO every_type (id, ${names}) VALUES (?, ${marks})`, [id, ...sent]);
      const [found] = await ask(connection, `SELECT ${names} FROM every_type WHERE id = ?`, [id]);
      const [stored] = await ask(connection, `SELECT ${spelled} FROM every_type WHERE id = ?`, [id]);
      columns.forEach(({ column, kind }, n) => {
        const what = `${way}: ${column} in row ${row}`;
        const text = texts[n];
        checks.equal(what, fromDriver(kind, found[n]), text === null ? null : toExpected(kind, text));
        const holds = text === null ? stored[n] === null : isSameServerText(kind, stored[n], text);
        checks.holds(`${what}: MySQL has ${String(text).slice(0, 80)}`, holds, stored[n]);
      });
    }
  }
}

async function errors(connection) {
  for (const [way, ask] of Object.entries(WAYS)) {
    for (const id of IDS) {
      const again = () => ask(connection, 'INSERT INTO accounts VALUES (?, NULL, 0)', [id]);
      await checks.refused(`${way}: a duplicate`, 1062, '23000', again);
      const orphan = () => ask(connection, 'INSERT INTO entries VALUES (?, 1, NULL)', [id + 1000]);
      const message = await checks.refused(`${way}: a foreign key`, 1452, '23000', orphan);
      checks.holds('1452 has the logical name', message.includes(`(\`${target.database}\`.\`entries\`,`), message);
      const unknown = () => ask(connection, 'SELECT nope FROM accounts WHERE id = ?', [id]);
      await checks.refused(`${way}: a column`, 1054, '42S22', unknown);
    }
    const message = await checks.refused(`${way}: a table`, 1146, '42S02', () => ask(connection, 'SELECT * FROM no_such_table'));
    checks.holds('1146 has the logical name', message.includes(`'${target.database}.no_such_table'`), message);
    await checks.refused(`${way}: syntax`, 1064, '42000', () => ask(connection, 'SELEC 1'));
    checks.equal(`${way}: usable after errors`, await ask(connection, 'SELECT 1'), [[1]]);
  }
}

async function largeValues(connection) {
  const body = Buffer.alloc(LARGE, Buffer.from(Array.from({ length: 256 }, (_, n) => n)));
  const digest = createHash('sha256').update(body).digest('hex');
  for (const [way, ask] of Object.entries(WAYS)) {
    await ask(connection, 'DELETE FROM blobs WHERE id = ?', [32]);
    await ask(connection, 'INSERT INTO blobs VALUES (?, ?)', [32, body]);
    const all = 'SELECT body, LENGTH(body), SHA2(body, 256) FROM blobs WHERE id = ?';
    const [[found, length, sum]] = await ask(connection, all, [32]);
    checks.equal(`${way}: in MySQL`, [length, sum], [LARGE, digest]);
    checks.holds(`${way}: comes back`, body.equals(found), found.length);
    await ask(connection, 'DELETE FROM blobs WHERE id = ?', [32]);
  }
}

async function transactions(connection) {
  const other = await connect();
  const update = 'UPDATE accounts SET balance = ? WHERE id = ?';
  const balance = (where, id) => execute(where, 'SELECT balance FROM accounts WHERE id = ?', [id]);
  for (const id of IDS.slice(0, 6)) {
    await execute(other, update, [100, id]);
    await connection.beginTransaction();
    await execute(connection, update, [50, id]);
    checks.equal('own write', await balance(connection, id), [[50]]);
    checks.equal('not yet committed', await balance(other, id), [[100]]);
    await connection.rollback();
    checks.equal('rolled back', await balance(connection, id), [[100]]);
    await query(connection, 'SET autocommit = 0');
    await execute(connection, update, [60, id]);
    await query(connection, 'SAVEPOINT here');
    await execute(connection, update, [70, id]);
    await query(connection, 'ROLLBACK TO here');
    checks.equal('still not committed', await balance(other, id), [[100]]);
    await connection.commit();
    await query(connection, 'SET autocommit = 1');
    checks.equal('to the savepoint', await balance(other, id), [[60]]);
  }
  other.destroy();
}

async function resultsOfWrites(connection) {
  await query(connection, 'DELETE FROM settings');
  for (const [way, ask] of Object.entries(WAYS)) {
    const inserted = await ask(connection, `INSERT INTO settings (name, n) VALUES ('${way}', 1)`);
    checks.equal(`${way}: LAST_INSERT_ID()`, await ask(connection, 'SELECT LAST_INSERT_ID()'), [[inserted.insertId]]);
    await query(connection, "SET SESSION sql_mode = ''");
    const updated = await ask(connection, `UPDATE settings SET n = 300 WHERE name = '${way}'`);
    const { affectedRows, changedRows, warningStatus, info } = updated;
    const expected = [1, 1, 1, 'Rows matched: 1  Changed: 1  Warnings: 1'];
    checks.equal(`${way}: an update`, [affectedRows, changedRows, warningStatus, info], expected);
    const warnings = await query(connection, 'SHOW WARNINGS');
    checks.equal(`${way}: SHOW WARNINGS`, warnings, [['Warning', 1264, "Out of range value for column 'n' at row 1"]]);
    await query(connection, 'SET SESSION sql_mode = DEFAULT');
  }
  checks.equal('a delete', (await query(connection, 'DELETE FROM settings')).affectedRows, 2);
}

// Sessions that take turns on the same pooled connections keep what is theirs.
async function sessionState() {
  const zones = ['+01:00', '-03:30', '+00:00', '+09:00'];
  const modes = ['', 'ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT'];
  const sessions = await Promise.all(zones.map(() => connect({ charset: 'UTF8MB4_UNICODE_CI' })));
  for (const [n, session] of sessions.entries()) {
    await query(session, `SET time_zone = '${zones[n]}', sql_mode = '${modes[n]}', @n = ${n}`);
  }
  const seen = 'SELECT @n, @@time_zone, @@sql_mode, @@collation_connection FROM accounts WHERE id = ?';
  for (const id of IDS) {
    // All at once: they fight for connections.
    const found = await Promise.all(sessions.map((session) => execute(session, seen, [id])));
    found.forEach((rows, n) => checks.equal(`session ${n} at ${id}`, rows, [[n, zones[n], modes[n], 'utf8mb4_unicode_ci']]));
  }
  checks.equal('PIPES_AS_CONCAT', await execute(sessions[3], "SELECT 'a' || 'b'"), [['ab']]);
  sessions.forEach((session) => session.destroy());
}

async function livingAndDying(connection) {
  await connection.ping();
  const { threadId } = connection;
  const seen = 'SELECT @kept, @@time_zone, DATABASE(), CONNECTION_ID()';
  const kept = "SET @kept = 1, time_zone = '+05:00'";
  const prepared = () => execute(connection, 'SELECT owner FROM accounts WHERE id = ?', [3]);
  checks.equal('prepared before', await prepared(), [['owner 3']]);
  await query(connection, kept);
  await connection.reset();
  checks.equal('after a reset', await query(connection, seen), [[null, 'SYSTEM', target.database, threadId]]);
  checks.equal('prepared again', await prepared(), [['owner 3']]);
  await query(connection, kept);
  await connection.changeUser({ user: target.user, password: target.password, database: target.database });
  checks.equal('after changeUser', await query(connection, seen), [[null, 'SYSTEM', target.database, threadId]]);
  await withConnection(async (other) => {
    const wrongly = () => other.changeUser({ user: target.user, password: 'wrong', database: target.database });
    await checks.refused('changeUser, wrongly', 1045, '28000', wrongly);
  });
  const sleeping = query(connection, 'SELECT SLEEP(30)').then(() => 'slept', (error) => error);
  const started = Date.now();
  await withConnection(async (other) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await query(other, `KILL QUERY ${threadId}`);
    await sleeping;
    checks.equal('usable after KILL QUERY', await query(connection, 'SELECT 1'), [[1]]);
    await query(other, `KILL ${threadId}`);
  });
  checks.holds('KILL QUERY ends a sleep at once', Date.now() - started < 10_000, Date.now() - started);
  const afterKill = await query(connection, 'SELECT 1').then((rows) => rows, (error) => error.code || error.message);
  checks.holds('killed', ['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE', 'ER_CLIENT_INTERACTION_TIMEOUT'].includes(afterKill)
    || String(afterKill).includes('closed state'), afterKill);
}

async function severalStatements(connection) {
  const [results] = await connection.query("SELECT 1; SET @a = 'x;y'; SELECT @a; SELECT owner FROM accounts WHERE id = 16");
  const rows = results.map((result) => (Array.isArray(result) ? result : result.affectedRows));
  checks.equal('results', rows, [[[1]], 0, [['x;y']], [['owner 16']]]);
  await checks.refused('an error in the second', 1054, '42S22', () => connection.query('SELECT 1; SELECT nope; SELECT 3'));
  checks.equal('usable after it', await query(connection, 'SELECT 5'), [[5]]);
  for (const [way, ask] of Object.entries(WAYS)) {
    if (target.shards === 1) {
      const [first, second] = await ask(connection, 'CALL two_results(5)');
      checks.equal(`${way}: a procedure's results`, [first, second], [[[5]], [[6, 'second']]]);
    } else {
      await checks.refused(`${way}: CALL over shards`, 1235, '42000', () => ask(connection, 'CALL two_results(5)'));
    }
  }
  await withConnection(async (single) => {
    await checks.refused('without multipleStatements', 1064, '42000', () => query(single, 'SELECT 1; SELECT 2'));
  });
}

async function streaming(connection) {
  const digits = '(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)';
  const sql = `SELECT a.d + 5 * b.d + 25 * c.d, REPEAT('z', 5000) FROM ${digits} a, ${digits} b, ${digits} c ORDER BY 1`;
  const stream = connection.connection.query(sql).stream({ highWaterMark: 5 });
  let expected = 0;
  for await (const [number] of stream) {
    if (number !== expected) {
      checks.fail(`row ${expected}: found ${number}`);
    }
    expected += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  checks.equal('rows', expected, 125);
}

async function infile(connection) {
  await query(connection, 'DELETE FROM settings');
  const lines = Array.from({ length: 5000 }, (_, n) => Buffer.from(`row ${n},${n % 100}\n`));
  const sql = "LOAD DATA LOCAL INFILE 'rows' INTO TABLE settings FIELDS TERMINATED BY ',' (name, n)";
  const [{ affectedRows }] = await connection.query({ sql, infileStreamFactory: () => Readable.from(lines) });
  checks.equal('rows loaded', affectedRows, 5000);
  checks.equal('rows there', await query(connection, 'SELECT COUNT(*) FROM settings'), [[5000]]);
  await query(connection, 'DELETE FROM settings');
}

async function main() {
  const groups = [
    ['queries', queries], ['every type', everyType], ['errors', errors], ['results of writes', resultsOfWrites],
    ['several statements', severalStatements, { multipleStatements: true }], ['streaming', streaming], ['LOCAL INFILE', infile],
    ['ping, reset, changeUser, kill', livingAndDying], ['transactions', transactions], ['large values', largeValues],
  ];
  await checks.group('connecting', connecting);
  for (const [name, group, options] of groups) {
    await checks.group(name, () => withConnection(group, options));
  }
  await checks.group('session state', sessionState);
  checks.finish();
}

main();
