/// Inputs that are large, or that stand for something large: nesting, repetition, and counts that promise more than comes.
enum HostileInputs {
  typealias Input = @Sendable () -> [UInt8]

  /// By the name of the entry point.
  static let all: [String: [Input]] = [
    "pgoutput": pgoutput, "wal2json": wal2json, "outbox": outbox, "key-message": keyMessage,
    "engine-pgoutput": enginePgoutput, "engine-wal2json": engineWal2json, "key-template": keyTemplate,
    "texts": texts, "rules-file": rulesFile, "wait": wait, "why": why,
    "explain": explain, "resp": resp,
  ]

  private static func text(_ parts: String...) -> [UInt8] { Array(parts.joined().utf8) }

  private static func times(_ count: Int, _ part: String) -> String { String(repeating: part, count: count) }

  private static let pgoutput: [Input] = [
    // 65,535 columns, of a relation and of a row.
    { text("R\0\0\0\u{7}s\0t\0d") + [255, 255] + text(times(65_535, "\u{1}c\0\0\0\0\u{19}\0\0\0\0")) },
    { text("I\0\0\0\u{7}N") + [255, 255] + text(times(65_535, "n")) },
    { text("T") + [255, 255, 255, 255] + text(times(400_001, "\0")) },
    { text("M\0\0\0\0\0\0\0\0\0", times(1_000_000, "p")) },
  ]

  private static let wal2json: [Input] = [
    { text(#"{"action":"B","x":"#, times(1_000_000, "[")) },
    { text(#"{"action":"B","x":"#, times(200_000, #"{"a":"#)) },
    {
      text(
        #"{"action":"I","schema":"s","table":"t","columns":["#,
        times(10_000, #"{"name":"a","type":"bytea","value":"00"},"#),
        #"{"name":"a","type":"real","value":null}]}"#)
    },
    { text(#"{"action":"I","schema":"s","table":"t","columns":["#, times(200_000, "{},")) },
    { text(#"{"action":"M","prefix":""#, times(300_000, "\\n"), #"","content":""}"#) },
    { text("{", times(100_000, #""schema":"s","#), #""action":"T","table":"t"}"#) },
    { text(#"{"action":"B","xid":"#, times(1_000_000, "9"), "}") },
    { text(#"{"action":"B","x":["#, times(300_000, "1,"), "1]}") },
  ]

  private static let outbox: [Input] = [
    { text("[", times(100_000, #"{"old":{}},"#), #"{"new":{"id":"1"}}]"#) },
    { text(#"[{"new":{"#, times(100_000, #""other":"1","#), #""id":"1"}}]"#) },
    { text("[", times(300_000, #"{"new":"#)) },
    { text(#"[{"new":{"id":""#, times(300_000, "\\n"), #""}}]"#) },
  ]

  private static func message(_ bytes: [UInt8]) -> [UInt8] { EngineScript.bytes("d", bytes) }

  private static let enginePgoutput: [Input] = [
    // Every change is of another relation that nothing described.
    {
      (0..<3_000).flatMap { number in
        message(text("D\0\0") + [UInt8(number >> 8), UInt8(number & 255)] + text("K\0\0"))
      }
    },
    { (0..<1_000).flatMap { _ in message(text("B", times(20, "\0"))) } },
    {
      (0..<1_000).flatMap { _ in
        EngineScript.bytes("f", text("k", times(8, "\u{7F}"), times(8, "\0"), "\u{1}"))
      }
    },
  ]

  private static let engineWal2json: [Input] = [
    {
      message(text(#"{"action":"B","xid":7,"timestamp":"2026-01-01 00:00:00+00","lsn":"0/2000"}"#))
        + (0..<1_000).flatMap { number in
          message(
            text(
              #"{"action":"U","schema":"public","table":"users","columns":[{"name":"c\#(number)","type":"text","value":""}]}"#
            ))
        }
    },
    {
      (0..<1_000).flatMap { number in
        message(text(#"{"action":"I","schema":"public","table":"t\#(number)"}"#)) + EngineScript.bytes("q")
      }
    },
  ]

  private static let keyMessage: [Input] = [
    { text(times(10_000, "key a\n"), times(10_000, "a\n"), times(10_000, "key \n")) },
    { text("key ", times(1_200_000, "a"), "\n", times(300_000, "\n")) },
    { text("[\"", times(200_000, "\\u0041"), "\"", times(100_000, ",\"a\""), "]") },
    { text(times(300_000, "[")) },
  ]

  private static let keyTemplate: [Input] = [
    { text("k:{id", times(1_000, "|url"), "}\n", times(100, "%")) },
    { text("k:{id", times(50_000, "|sha256"), "}\nx") },
    { text("k:", times(20_000, "{id}"), "\n", times(4_096, "x")) },
    { text("k:", times(500_000, "{{"), "\n") }, { text(times(500_000, "{a"), "\n") },
    { text("k:{a", times(500_000, "|"), "}") }, { text(times(2_000, "*{a}"), "\n*") },
  ]

  private static let texts: [Input] = [
    { text(times(200_000, "a.")) }, { text("a", times(300_000, "\u{301}")) },
    { text("\"", times(300_000, "\"\""), "\"") }, { text("1:9:", times(200_000, "7,")) },
    { text(times(500_000, "0")) }, { text(times(300_000, "/")) },
    { text(times(100_000, "\u{FB03}\u{0130}")) },
    { text("cdcd1", times(300_000, " ")) },
  ]

  private static let wait: [Input] = [
    { text("/wait?", times(300_000, "&")) }, { text("/wait?lsn=", times(300_000, "0")) },
    { text("/wait?", (0..<10_000).map { "a\($0)=&" }.joined()) },
    { text("/wait?timeout=", times(300_000, "9"), "s") },
    { text(times(300_000, "/")) }, { text("/wait?lsn=", times(100_000, "%2F")) },
  ]

  private static let why: [Input] = [
    { text("/why?", times(300_000, "&")) }, { text("/why?key=", times(100_000, "%FF")) },
    { text("/why?key=", times(300_000, "%")) }, { text("/why?", times(300_000, "=")) },
  ]

  private static let explain: [Input] = [
    { text(#"{"table":"users","new":"#, times(500_000, "[")) },
    { text(#"{"table":"users","new":{"#, (0..<10_000).map { #""c\#($0)":1,"# }.joined(), #""id":1}}"#) },
    { text(#"{"table":"users","new":{"id":""#, times(100_000, "\\u0041"), #""}}"#) },
    { text(#"{"table":""#, times(500_000, "a"), #"","new":{"id":1}}"#) },
    { text(#"{""#, times(500_000, "a"), #"":{"id":1}}"#) },
  ]

  private static let resp: [Input] = [
    { text(times(100_000, "*1\r\n")) }, { text("*1048576\r\n", times(200_000, ":1\r\n")) },
    { text(times(15, "*1048576\r\n")) }, { text("$536870912\r\n", times(100_000, "x")) },
    { text("+", times(200_000, "x")) }, { text(times(100_000, "*0\r\n")) },
  ]
}
