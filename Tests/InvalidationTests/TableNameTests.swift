import Invalidation
import Testing

@Suite struct TableNameTests {
  @Test func quotesEveryQuote() {
    #expect(TableName(schema: "a b", name: #"c"d"#).quoted == #""a b"."c""d""#)
    // A quote and a combining acute accent, which Swift takes for one character.
    #expect(TableName(schema: "s", name: "x\"\u{301}").quoted == "\"s\".\"x\"\"\u{301}\"")
  }
}
