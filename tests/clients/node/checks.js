// What Node client programs share: their arguments, their report, and the values of every type. A check that fails is reported
// with what was expected and what was found, and the rest goes on; the exit status is 1 if any failed.
'use strict';

const { isDeepStrictEqual, inspect } = require('node:util');
const path = require('node:path');

function target(argv) {
  if (argv.length !== 8) {
    console.error(`usage: node ${path.basename(argv[1])} HOST PORT USER PASSWORD DATABASE SHARDS`);
    process.exit(2);
  }
  const [host, port, user, password, database, shards] = argv.slice(2);
  return { host, port: Number(port), user, password, database, shards: Number(shards) };
}

class Checks {
  constructor(name) {
    this.name = name;
    this.groupName = '';
    this.failures = 0;
  }

  // Checks that belong together. An exception ends the group, not the program.
  async group(name, checks) {
    this.groupName = name;
    const before = this.failures;
    try {
      await checks();
    } catch (error) {
      const frames = (error.stack || '').split('\n').filter((line) => line.includes('_client.js'));
      this.fail(`${error.code || error.name}: ${error.message} ${(frames[0] || '').trim()}`);
    }
    if (this.failures === before) {
      console.log(`ok ${this.name}: ${name}`);
    }
  }

  fail(text) {
    this.failures += 1;
    console.log(`FAILED ${this.name}: ${this.groupName}: ${text}`);
  }

  equal(what, found, expected) {
    if (!isDeepStrictEqual(found, expected)) {
      this.fail(`${what}: expected ${shown(expected)}, found ${shown(found)}`);
    }
  }

  holds(what, condition, found) {
    if (!condition) {
      this.fail(`${what}: does not hold; found ${shown(found)}`);
    }
  }

  // `action` must fail with this error; returns the message.
  async refused(what, errno, sqlState, action) {
    let result;
    try {
      result = await action();
    } catch (error) {
      this.equal(`${what} (${error.message})`, [error.errno, error.sqlState], [errno, sqlState]);
      return error.message;
    }
    this.fail(`${what}: error ${errno} was expected, but it went through: ${shown(result)}`);
    return '';
  }

  finish() {
    console.log(`${this.name}: ${this.failures} failed`);
    process.exit(this.failures ? 1 : 0);
  }
}

function shown(value) {
  const text = inspect(value, { depth: 5, breakLength: Infinity, maxStringLength: 120, maxArrayLength: 20 });
  return text.length > 300 ? `${text.slice(0, 200)} … ${text.slice(-80)}` : text;
}

// { column, kind, values: [text, text, text] } of every column of every_type.
function columnsOfEveryType() {
  const spelledOut = (value) => (typeof value === 'string' ? value : value.repeat.repeat(value.times));
  return require('../values.json').map(({ column, kind, values }) => ({ column, kind, values: values.map(spelledOut) }));
}

// An expression that makes MySQL itself say what it has stored, in a spelling that no driver converts.
function serverText(column, kind) {
  const expressions = {
    bytes: `LOWER(HEX(${column}))`,
    bit: `CAST(${column} + 0 AS CHAR)`,
    text: `LOWER(HEX(CONVERT(${column} USING utf8mb4)))`,
  };
  return expressions[kind] || `CAST(${column} AS CHAR)`;
}

function isSameServerText(kind, found, text) {
  if (kind === 'float') {
    return Number(found) === Number(text);
  }
  return found === (kind === 'text' ? Buffer.from(text).toString('hex') : text);
}

module.exports = { Checks, columnsOfEveryType, isSameServerText, serverText, target };
