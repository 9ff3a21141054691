extension HostileInputs {
  private static let head = "source: {postgres: host=h}\nredis: {url: redis://h}\n"

  private static func file(_ parts: String...) -> [UInt8] { Array((head + parts.joined()).utf8) }

  private static func times(_ count: Int, _ part: String) -> String { String(repeating: part, count: count) }

  /// As large as a file may be where that may be refused soon, smaller where all of it has to be read.
  static let rulesFile: [Input] = nesting + aliases + repetition + syntax

  private static let nesting: [Input] = [
    { file("rules: ", times(1_000_000, "[")) }, { file("rules: ", times(900, "["), times(900, "]")) },
    { file("rules: ", times(200_000, "{a: ")) }, { file("rules:\n", times(500_000, "- ")) },
    { file("rules:\n", times(500_000, "? ")) }, { file(times(500_000, "!a ")) },
    { file("rules:\n", (1...1_300).map { times($0, " ") + "a:\n" }.joined()) },
    { file("http: {listen: \"", times(150_000, "${Z:-"), "\"}\n") },
    { file("http: {listen: \"", times(100_000, "${file:"), "\"}\n") },
  ]

  private static let aliases: [Input] = [
    // A billion values, once as a value and once as a key.
    { file(bomb, "rules: *a9\n") }, { file(bomb, "? *a9\n: x\n") },
    // A hundred and fifty thousand levels that no bracket shows, each in the one before.
    { file("rules:\n- &a0 x\n", (1...40_000).map { "- &a\($0) [*a\($0 - 1)]\n" }.joined()) },
    // As many rules as keys in each.
    {
      file(
        "rules:\n- &r {table: t, keys: [", (0..<4_000).map { "\"k\($0):{a}\"," }.joined(), "]}\n",
        times(20_000, "- *r\n"))
    },
    { file("rules: &r [*r]\n") }, { file("rules: ", times(300_000, "&a ")) },
  ]

  private static let bomb =
    "a0: &a0 x\n"
    + (1...9).map { "a\($0): &a\($0) [" + times(10, "*a\($0 - 1),") + "]\n" }.joined()

  private static let repetition: [Input] = [
    { file("rules:\n", times(6_000, "- {table: t, keys: [\"k:{a}\"]}\n")) },
    { file("rules:\n", (0..<4_000).map { "- {name: n\($0), table: t, keys: [\"k:{a}\"]}\n" }.joined()) },
    { file("rules: [{table: t, keys: [", (0..<16_000).map { "k\($0)," }.joined(), "]}]\n") },
    { file("rules: [{table: t, keys: [", times(20_000, "\"}\","), "]}]\n") },
    {
      file("rules: [{table: t, keys: [k], when_changed: [", (0..<16_000).map { "c\($0)," }.joined(), "]}]\n")
    },
    { file("rules: [{table: t, keys: [k], where: {", (0..<16_000).map { "c\($0): 1," }.joined(), "}}]\n") },
    { file("rules: [{table: t, keys: [k], on: [", times(20_000, "insert,"), "]}]\n") },
    {
      Array(
        ("source: {postgres: host=h, replicas: [" + (0..<6_000).map { "host=h\($0)," }.joined() + "]}\n").utf8
      )
    },
    { file((0..<12_000).map { "k\($0): 1\n" }.joined()) }, { file(times(12_000, "k: 1\n")) },
  ]

  private static let syntax: [Input] = [
    { file(times(60_000, "k"), ": 1\n") }, { file("\"", times(60_000, "k")) },
    { file("log: {level: ", times(60_000, "a"), "}\n") }, { file(times(60_000, "\t")) },
    { file(times(60_000, "\n")) }, { file(times(60_000, "#")) }, { file(times(60_000, ":")) },
    { file(times(26_666, "''")) }, { file(times(26_666, "a ")) }, { file(times(20_000, "a: ")) },
    { file(times(13_333, "---\n")) }, { file(times(6_666, "%TAG ! a\n"), "---\n") },
    { file("a: |\n", times(20_000, " \n")) }, { file("a: >\n", times(20_000, " a\n")) },
    { file("\"", times(10_000, "\\x41"), "\": 1\n") }, { file(times(26_666, "\r\n")) },
    { file(times(20_000, "[],")) }, { file("rules: [", times(20_000, "[],"), "]\n") },
    { file("\"a", times(6_666, "\u{301}"), "\": 1\n") }, { file("[", times(13_333, "a: b,"), "]\n") },
  ]
}
