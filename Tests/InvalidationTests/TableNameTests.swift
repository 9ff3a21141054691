import Invalidation
import Testing

@Suite struct TableNameTests {
  @Test func quotesEveryQuote() {
    #expect(TableName(schema: "a b", name: #"c"d"#).quoted == #""a b"."c""d""#)
    // A quote and a combining acute accent, which Swift takes for one character.
    #expect(TableName(schema: "s", name: "x\"\u{301}").quoted == "\"s\".\"x\"\"\u{301}\"")
  }

  @Test("a name that begins with a combining mark is read, after a quote and after a full stop")
  func readsCombiningMarks() throws {
    let expected = TableName(schema: "\u{301}s", name: "\u{301}x")
    #expect(try TableName(sql: "\"\u{301}s\".\"\u{301}x\"") == expected)
    #expect(try TableName(sql: "\u{301}s.\u{301}x") == expected)
  }
}
