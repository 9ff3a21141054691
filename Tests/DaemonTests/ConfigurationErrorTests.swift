import Daemon
import Testing

/// Files that are wrong, and every line that is said about them.
@Suite struct ConfigurationErrorTests {
  /// A file that is right but for `lines`, which come first.
  static func file(_ lines: String) -> String { lines + "\n" }

  static let source = "source: {postgres: 'host=db'}\n"
  static let redis = "redis: {url: 'redis://localhost'}\n"
  static let addresses =
    "expected host:port, [::1]:9810, :9810 or unix: and an absolute path of at most 107 bytes, a list of them, "
    + "or off"
  static let token = "expected at least 16 visible ASCII characters, as `openssl rand -hex 16` prints"
  static let rules = "rules: [{table: users, keys: ['u:{id}']}]\n"

  static func problems(
    of text: String, environment: [String: String] = [:]
  ) -> [String] {
    do {
      _ = try Configuration.read(text, file: "r.yaml", environment: environment)
      return []
    } catch {
      return error.problems.map(\.description)
    }
  }

  @Test func aMissingFileIsNamed() {
    do {
      _ = try Configuration.load(path: "/nonexistent/rules.yaml", environment: [:])
      Issue.record("loaded a file that does not exist")
    } catch {
      #expect(
        error.description
          == "/nonexistent/rules.yaml: found no readable file (No such file or directory), expected a rules file"
      )
    }
  }

  @Test(arguments: [
    ("", "r.yaml: found an empty file, expected source, redis and rules"),
    ("- a\n", "r.yaml:1:1: found a list, expected a mapping with the keys of the file"),
    (
      "a: [1\n",
      "r.yaml:2:1: found a syntax error (while parsing a flow sequence, did not find expected ',' or ']'), expected YAML"
    ),
    (
      "a: b\n\tc: d\n",
      "r.yaml:2:1: found a syntax error (while scanning a plain scalar, found a tab character that violates indentation), expected YAML"
    ),
    (
      "source: 1\nredis: 2\nsource: 3\n",
      #"r.yaml:3:1: found the key "source" a second time in one mapping, expected each key once: the first is at line 1"#
    ),
    (
      "source:\n  slot: a\n\n  # x\n  mode: b\n  slot: c\n",
      #"r.yaml:6:3: found the key "slot" a second time in one mapping, expected each key once: the first is at line 2"#
    ),
    (
      "--- 1\n--- 2\n",
      "r.yaml:2:1: found a syntax error (expected a single document in the stream, but found another document), expected YAML"
    ),
  ])
  func refusesWhatIsNoMapping(text: String, expected: String) {
    #expect(Self.problems(of: text) == [expected])
  }

  @Test(arguments: [
    "postgresql://u:sec@secret@h/db", "postgresql://u:sec%secret@h/db", "postgresql://h/db?nonsense=1",
    "postgresql://u:sec/ret@h/db", "postgresql://u:sec@re/t@h/db",
  ]) func refusesWhatLibpqCannotRead(connection: String) throws {
    let problems = Self.problems(
      of:
        "source: {postgres: '\(connection)'}\nredis: {url: 'redis://h'}\nrules: [{table: t, keys: ['t:{id}']}]\n"
    )
    #expect(problems.count == 1)
    let problem = try #require(problems.first)
    #expect(problem.hasPrefix("r.yaml:1:20: ") && problem.contains("%40") && !problem.contains("sec"))
  }

  @Test func namesMissingSections() {
    #expect(
      Self.problems(of: "http: {listen: ':1'}\n") == [
        #"r.yaml:1:1: found no key "source" in the file, expected source"#,
        #"r.yaml:1:1: found no key "redis" in the file, expected redis"#,
        #"r.yaml:1:1: found no key "rules" in the file, expected rules"#,
      ])
  }

  @Test func gathersEverything() {
    let text = """
      sorce:
        postgres: host=db
      source:
        postgres: mysql://u:hunter2@h/db
        slot: Cdcd
        retain: 60
      redis:
        url: redis://:hunter2@host:port
        leases: maybe
        flush_rate: 0
      http: 9810
      on_gap: flsh
      rules:
        - tabel: users
          keys: ["user:{id|lowr}"]
      """
    #expect(
      Self.problems(of: text) == [
        #"r.yaml:1:1: found an unknown key, "sorce", expected one of source, redis, http, log, on_gap, rules; the nearest is "source""#,
        "r.yaml:4:13: found a text of 22 characters, expected postgresql://user@host/database (@ in a password is %40) or host=... dbname=...",
        #"r.yaml:5:9: found "Cdcd", expected 1 to 63 of a-z, 0-9 and _"#,
        #"r.yaml:6:11: found "60", expected a number and its unit, as in 500ms, 60s, 5m or 1h"#,
        "r.yaml:8:8: found a port that is no number from 1 to 65535, expected host:port; in a password write / as %2F, : as %3A and @ as %40",
        #"r.yaml:9:11: found "maybe", expected true or false"#,
        #"r.yaml:10:15: found "0", expected keys a second, 1 to 10000000"#,
        "r.yaml:11:7: found a text, expected a mapping with the keys of http",
        #"r.yaml:12:9: found "flsh", expected one of flush, halt, ignore; the nearest is "flush""#,
        #"r.yaml:14:5: found an unknown key, "tabel", expected one of name, table, on, when_changed, where, keys, redelete_after, pattern, on_gap, messages; the nearest is "table""#,
        #"r.yaml:14:5: found no key "table" in a rule, expected table"#,
        #"r.yaml:15:22: found the unknown function "lowr" in the template "user:{id|lowr}", expected one of lower, upper, trim, url, md5, sha1, sha256; the nearest is "lower""#,
      ])
  }

  /// Each replaces one section of a right file; the place is within that section, which comes last.
  @Test(arguments: [
    ("source:\n", "1:8: found nothing, expected a mapping with the keys of source"),
    ("source: {}\n", #"1:9: found no key "postgres" in source, expected postgres"#),
    (
      "source: {postgres: ''}\n",
      "1:20: found an empty text, expected postgresql://user@host/database (@ in a password is %40) or host=... dbname=..."
    ),
    (
      "source: {postgres: 'host=x', mode: wal2json, publication: p}\n",
      "1:59: found publication, which wal2json does not use, expected source.mode: pgoutput, or no publication"
    ),
    (
      "source: {postgres: 'host=x', mode: frob}\n",
      #"1:36: found "frob", expected one of pgoutput, wal2json, notify; the nearest is "notify""#
    ),
    (
      "source: {postgres: 'host=x', mode: notify, retain: 1m}\n",
      "1:52: found retain, which notify does not use, expected source.mode: pgoutput or wal2json, or no retain"
    ),
    (
      "source: {postgres: 'host=x', wakeup: poll}\n",
      "1:38: found wakeup, which pgoutput does not use, expected source.mode: notify, or no wakeup"
    ),
    (
      "source: {postgres: 'host=x', mode: notify, wakeup: pol}\n",
      #"1:52: found "pol", expected one of notify, poll; the nearest is "poll""#
    ),
    (
      "source: {postgres: 'host=x', mode: notify, poll: 1m}\n",
      #"1:50: found "1m", expected 1ms to 5s"#
    ),
    (
      "source: {postgres: 'host=x', replicas: ['host=y,z']}\n",
      "1:41: found a text of 8 characters, expected postgresql://user@host/database or host=... dbname=..., one server in each entry"
    ),
    (
      "source: {postgres: 'host=x', replicas: ['host=y password=a', 'host=y password=b']}\n",
      "1:62: found the replica host=y a second time, expected each replica once"
    ),
    (
      "source: {postgres: 'host=x', retain: 5 m}\n",
      #"1:38: found "5 m", expected a number and its unit, as in 500ms, 60s, 5m or 1h"#
    ),
    (
      "source: {postgres: 'host=x', retain: -5s}\n",
      #"1:38: found "-5s", expected a number and its unit, as in 500ms, 60s, 5m or 1h"#
    ),
    (
      "source: {postgres: 'host=x', retain: 99999999999999999h}\n",
      #"1:38: found "99999999999999999h", expected a number and its unit, as in 500ms, 60s, 5m or 1h"#
    ),
    ("source: !x {postgres: 'host=x'}\n", "1:9: found a tag, expected none"),
    (
      "source: {postgres: 'postgresql://u@h:abc/db'}\n",
      "1:20: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
    (
      "source: {postgres: 'postgresql://u@h:0/db'}\n",
      "1:20: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
    (
      "source: {postgres: 'host=h port=65536'}\n",
      "1:20: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
    (
      "source: {postgres: \"host=h port='5432 x'\"}\n",
      "1:20: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
    (
      "source: {postgres: 'host=a,b port=5432,x'}\n",
      "1:20: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
    (
      "source: {postgres: 'host=x', replicas: ['host=y port=y']}\n",
      "1:41: found a port that is no number from 1 to 65535, expected postgresql://user@host:5432/database or port=5432"
    ),
  ])
  func refusesSources(section: String, expected: String) {
    #expect(Self.problems(of: section + Self.redis + Self.rules) == ["r.yaml:" + expected])
  }

  @Test(arguments: [
    ("http: {listen: localhost}\n", "1:16: found \"localhost\", \(addresses)"),
    ("http: {listen: '::1:9810'}\n", "1:16: found \"::1:9810\", \(addresses)"),
    ("http: {listen: ':'}\n", "1:16: found \":\", \(addresses)"),
    ("http: {listen: 'a:'}\n", "1:16: found \"a:\", \(addresses)"),
    ("http: {listen: '[::1]:'}\n", "1:16: found \"[::1]:\", \(addresses)"),
    ("http: {listen: 'a:65536'}\n", "1:16: found \"a:65536\", \(addresses)"),
    (
      "http: {listen: unix:http.sock}\n",
      "1:16: found \"unix:http.sock\", \(addresses)"
    ),
    (
      "http: {listen: ['127.0.0.1:1', off]}\n",
      #"1:32: found "off", expected host:port, [::1]:9810, :9810 or unix: and an absolute path of at most 107 bytes"#
    ),
    (
      "http: {listen: ['127.0.0.1:1', '127.0.0.1:1']}\n",
      #"1:32: found 127.0.0.1:1 a second time, expected each address once"#
    ),
    ("http: {listen: []}\n", #"1:16: found an empty list, expected a list of addresses, or off"#),
    ("http: {token: geheim}\n", "1:15: found a token of 6 characters, \(token)"),
    ("http: {token: ''}\n", "1:15: found a token of 0 characters, \(token)"),
    (
      "http: {token: 'geheim geheim geheim'}\n",
      "1:15: found a token with other characters, \(token)"
    ),
    (
      "http: {token: geheimgeheimgeheimgeheü}\n",
      "1:15: found a token with other characters, \(token)"
    ),
    ("http: {token: [a]}\n", "1:15: found a list, \(token)"),
    (
      "log: {level: critical}\n",
      #"1:14: found "critical", expected one of trace, debug, info, notice, warning, error; the nearest is "notice""#
    ),
    (
      "log: {level: [info]}\n",
      "1:14: found a list, expected one of trace, debug, info, notice, warning, error"
    ),
    ("log: {format: xml}\n", #"1:15: found "xml", expected one of text, json; the nearest is "text""#),
  ])
  func refusesOtherSections(section: String, expected: String) {
    #expect(Self.problems(of: section + Self.source + Self.redis + Self.rules) == ["r.yaml:" + expected])
  }

  @Test(arguments: [
    ("rediss://h", "rediss://, which is not built yet, expected redis:// or unix://, which work today"),
    (
      "redis+cluster://h",
      "redis+cluster://, which is not built yet, expected redis:// or unix://, which work today"
    ),
    (
      "redis+sentinel://h",
      "redis+sentinel://, which is not built yet, expected redis:// or unix://, which work today"
    ),
    (
      "localhost:6379",
      "a text that is not a URL, expected redis://user:password@host:port/database or unix:///path?db=database"
    ),
    (
      "http://h",
      "an unknown kind of URL, expected redis://user:password@host:port/database or unix:///path?db=database"
    ),
    (
      "redis://",
      "a Redis URL without a host, expected redis://user:password@host:port/database or unix:///path?db=database"
    ),
    ("redis://secret@h", "a login without a colon, expected :password@ or user:password@ before the host"),
    ("redis://user:@h", "an empty password, expected :password@, or none of it"),
    ("redis://:a%2@h", "a % in the password without two digits, expected %25 for a % itself"),
    (
      "redis://h/zero",
      "a database that is no number, expected redis://user:password@host:port/database or unix:///path?db=database, and %2F for a / in the password"
    ),
    ("redis://::1/0", "a host with a colon, expected brackets around an IPv6 address: [::1]"),
    ("redis://a b", "a space in a Redis URL, expected %20 for a space in the password or path"),
    ("unix:///a b", "a space in a Redis URL, expected %20 for a space in the password or path"),
    ("unix://socket", "a unix:// URL without an absolute path, expected unix:///path?db=database"),
    ("unix:///s?x=1", "an unknown parameter in a unix:// URL, expected unix:///path?db=database"),
  ])
  func refusesRedisURLs(url: String, expected: String) {
    let text = "redis: {url: '\(url)'}\n" + Self.source + Self.rules
    #expect(Self.problems(of: text) == ["r.yaml:1:14: found \(expected)"])
  }

  @Test(arguments: [
    ("rules: []\n", "1:8: found an empty list, expected a list of rules"),
    ("rules: [users]\n", "1:9: found a text, expected a mapping with the keys of a rule"),
    (
      "rules: [{table: users, keys: []}]\n",
      #"1:30: found an empty list, expected a list of key templates, as in ["user:{id}"]"#
    ),
    (
      "rules: [{table: users, keys: 'u:{id}'}]\n",
      #"1:30: found a text, expected a list of key templates, as in ["user:{id}"]"#
    ),
    (
      "rules: [{table: a.b.c, keys: ['u:{id}']}]\n",
      #"1:17: found a name of 3 parts in "a.b.c", expected a table: public.users, users or public."Order Items""#
    ),
    (
      "rules: [{table: my-table, keys: ['u:{id}']}]\n",
      #"1:17: found the character "-" outside of quotes in "my-table", expected a table: public.users, users or public."Order Items""#
    ),
    (
      #"rules: [{table: '"a', keys: ['u:{id}']}]"# + "\n",
      #"1:17: found a quote without its end in ""a", expected a table: public.users, users or public."Order Items""#
    ),
    (
      "rules: [{table: users, on: [updat], keys: ['u:{id}']}]\n",
      #"1:29: found "updat", expected one of insert, update, delete, truncate; the nearest is "update""#
    ),
    (
      "rules: [{table: users, on: [insert, insert], keys: ['u:{id}']}]\n",
      #"1:37: found "insert" a second time, expected each operation once"#
    ),
    (
      "rules: [{table: users, on: [insert], when_changed: [a], keys: ['u:{id}']}]\n",
      "1:52: found when_changed in a rule without updates, expected update in on:, or no when_changed"
    ),
    (
      "rules: [{table: users, where: {}, keys: ['u:{id}']}]\n",
      "1:31: found an empty mapping, expected columns and their values, as in {status: [paid, shipped]}"
    ),
    (
      "rules: [{table: users, where: {a: []}, keys: ['u:{id}']}]\n",
      "1:35: found an empty list, expected a list of values"
    ),
    (
      "rules: [{table: users, where: {a: {b: c}}, keys: ['u:{id}']}]\n",
      "1:35: found a mapping, expected a text, a number, true, false, null, or a list of them"
    ),
    (
      "rules: [{table: users, where: {a: no}, keys: ['u:{id}']}]\n",
      #"1:35: found no, which is a truth value to some readers of YAML and a text to others, expected true, false or "no" in quotes"#
    ),
    (
      "rules: [{table: users, redelete_after: 2h, keys: ['u:{id}']}]\n",
      #"1:40: found "2h", expected a number and its unit from 1ms to 1h, as in 500ms"#
    ),
    (
      "rules: [{table: users, redelete_after: 0s, keys: ['u:{id}']}]\n",
      #"1:40: found "0s", expected a number and its unit from 1ms to 1h, as in 500ms"#
    ),
    (
      "rules: [{table: users, redelete_after: 1s, on_gap: ignore, keys: ['{id}']}]\n",
      #"1:67: found the template "{id}", whose keys have no common beginning to flush by, expected pattern: with a glob that covers its keys, or no second deletes (redelete_after, source.replicas)"#
    ),
    (
      "rules: [{table: users, keys: ['{id}']}]\n",
      #"1:31: found the template "{id}", whose keys have no common beginning to flush by, expected pattern: with a glob that covers its keys, or on_gap: halt or on_gap: ignore"#
    ),
    (
      "rules: [{table: users, keys: ['cdcd:wm:{id}']}]\n",
      #"1:31: found the template "cdcd:wm:{id}", whose keys are cdcd's own, expected keys that do not begin with cdcd:"#
    ),
    (
      "rules: [{table: users, keys: ['cdcd:{{{id}}}']}]\n",
      #"1:31: found the template "cdcd:{{{id}}}", whose keys are cdcd's own, expected keys that do not begin with cdcd:"#
    ),
    (
      "rules: [{table: users, keys: ['größe:{id']}]\n",
      #"1:38: found a { without its } in the template "größe:{id", expected {column}, or {{ for a literal brace"#
    ),
    (
      "rules: [{name: a, table: users, keys: ['u:{id}']},\n  {name: a, table: users, keys: ['v:{id}']}]\n",
      #"2:10: found a second rule named "a", expected each rule's name once: the first is at line 1"#
    ),
    (
      "rules: [{messages: true, pattern: 'n:[ab'}]\n",
      #"1:35: found "n:[ab", a glob without its end, expected a ] for each [, and something behind each \; \[ and \\ stand for themselves"#
    ),
    (
      "rules: [{messages: true, pattern: 'n:\\'}]\n",
      #"1:35: found "n:\", a glob without its end, expected a ] for each [, and something behind each \; \[ and \\ stand for themselves"#
    ),
    (
      "rules: [{messages: true, pattern: 'n:*', table: users}]\n",
      "1:49: found table, which a rule of messages does not have, expected those of messages, name, redelete_after, pattern, on_gap alone"
    ),
    (
      "rules: [{messages: true, pattern: 'n:*', keys: ['u:{id}']}]\n",
      "1:48: found keys, which a rule of messages does not have, expected those of messages, name, redelete_after, pattern, on_gap alone"
    ),
    (
      "rules: [{messages: true, patern: 'n:*', on_gap: halt}]\n",
      #"1:26: found an unknown key, "patern", expected one of messages, name, redelete_after, pattern, on_gap, table, on, when_changed, where, keys; the nearest is "pattern""#
    ),
    (
      "rules: [{messages: false, pattern: 'n:*'}]\n",
      #"1:20: found "false", expected true; a rule about rows has no messages:"#
    ),
    (
      "rules: [{messages: true}]\n",
      "1:9: found a rule of messages without a pattern to flush by, expected pattern: with a glob that covers the keys which messages name, or on_gap: halt or on_gap: ignore"
    ),
    (
      "rules: [{messages: true, on_gap: ignore, redelete_after: 1s}]\n",
      "1:9: found a rule of messages without a pattern to flush by, expected pattern: with a glob that covers the keys which messages name, or no second deletes (redelete_after, source.replicas)"
    ),
    (
      "rules: [{messages: true, pattern: 'n:*'},\n  {messages: true, name: b, pattern: 'm:*'}]\n",
      "2:3: found a second rule of messages, expected one of them: the first is at line 1"
    ),
    (
      "rules: [{name: '', table: users, keys: ['u:{id}']}]\n",
      "1:16: found an empty text, expected a name of 1 to 200 bytes without control characters"
    ),
  ])
  func refusesRules(section: String, expected: String) {
    #expect(Self.problems(of: section + Self.source + Self.redis) == ["r.yaml:" + expected])
  }

  @Test func refusesNULCharacters() {
    let text = #"source: {postgres: "host=a\0b"}"# + "\n" + Self.redis + Self.rules
    #expect(
      Self.problems(of: text) == [
        "r.yaml:1:20: found a NUL character, expected postgresql://user@host/database (@ in a password is %40) or host=... dbname=..."
      ])
  }

  @Test func tellsTheFirstHundredProblems() {
    let text = Self.source + Self.redis + (1...200).map { "key\($0): 1\n" }.joined() + Self.rules
    let problems = Self.problems(of: text)
    #expect(problems.count == 101)
    #expect(
      problems.first == "r.yaml: found more than 100 problems, expected a rules file; the first of them are")
  }

  @Test func refusesAliasesThatStandForTooMuch() {
    let levels = (1...9).map { "a\($0): &a\($0) [\(String(repeating: "*a\($0 - 1),", count: 9))]\n" }.joined()
    #expect(
      Self.problems(of: "a0: &a0 x\n" + levels + "rules: *a9\n") == [
        "r.yaml:8:22: found aliases that stand for more than 4 MiB, expected less of it"
      ])
    let rule = "{table: users, keys: &keys ['u:{id}', 'v:{id}']}"
    #expect(
      Self.problems(of: Self.source + Self.redis + "rules: [\(rule), {table: others, keys: *keys}]\n") == [])
  }

  @Test func refusesDeepNesting() {
    #expect(
      Self.problems(of: "a: " + String(repeating: "[", count: 900)) == [
        "r.yaml:1:66: found a nesting of more than 64 levels, expected less of it"
      ])
    // Level by level through aliases.
    let levels = (1...100).map { "- &a\($0) [*a\($0 - 1)]\n" }.joined()
    #expect(
      Self.problems(of: "- &a0 x\n" + levels) == [
        "r.yaml:63:9: found a nesting of more than 64 levels, expected less of it"
      ])
  }

  @Test func refusesReferencesInReferences() {
    let text = Self.redis + Self.rules + "http: {listen: \"" + String(repeating: "${A:-", count: 17) + "\"}\n"
    #expect(
      Self.problems(of: text + Self.source) == [
        "r.yaml:3:97: found a ${ inside of 16 others, expected fewer, one inside of the other"
      ])
  }

  /// Damaged copies of the example: whatever comes out, the loader neither crashes nor tells a secret.
  @Test func survivesDamage() async throws {
    var generator = Generator(state: 1)
    let original = Array(
      """
      source: {postgres: "host=db password=hunter2", slot: "${SLOT:-a}", retain: 60s, replicas: []}
      redis: {url: redis://:hunter2@localhost:6379/0, command: del, leases: false}
      http: {listen: "[::1]:9810"}
      rules:
        - name: "a"
          table: public."Order Items"
          on: [insert, update]
          when_changed: [a, b]
          where: {a: [1, null, true, "x"], b: 2.50}
          keys: ["order:{{{id}}}:{größe|lower|sha256}", 'x:{y}']
          pattern: "*"
      """.utf8)
    #expect(Self.problems(of: String(decoding: original, as: UTF8.self)) == [])
    for _ in 0..<1_000 {
      // Other tests measure time.
      await Task.yield()
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes.remove(at: place)
        case 1:
          bytes.insert(
            contentsOf: "{}[]:,|\"'$&*!\n -#%@~".utf8.shuffled(using: &generator).prefix(1), at: place)
        case 2: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &generator))
        default: bytes.removeSubrange(place..<min(place + 9, bytes.count))
        }
        if bytes.isEmpty { break }
      }
      let problems = Self.problems(of: String(decoding: bytes, as: UTF8.self))
      #expect(!problems.contains { $0.contains("hunter2") }, "\(problems)")
    }
  }

  /// SplitMix64: the same damage in every run.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }
}
