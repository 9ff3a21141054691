import Testing

@testable import Invalidation

@Suite struct TextPlacesTests {
  private func place(of text: String, in texts: [String]) -> Int? {
    let places = TextPlaces(texts.map { Array($0.utf8) })
    let bytes = Array(text.utf8)
    return places[bytes.span]
  }

  @Test func everyTextIsFoundAtItsPlace() {
    let texts = ["", "a", "b", "ab", "ba"] + (0..<300).map { "text \($0)" }
    for (place, text) in texts.enumerated() { #expect(self.place(of: text, in: texts) == place) }
  }

  @Test(arguments: ["c", "aa", "text", "text 3", "text 10", String(repeating: "a", count: 100_000)])
  func anotherTextIsNot(_ text: String) {
    #expect(place(of: text, in: ["", "a", "text 1", "text 2"]) == nil)
    #expect(place(of: text, in: []) == nil)
  }

  @Test func ofEqualTextsTheFirstIsFound() { #expect(place(of: "b", in: ["a", "b", "b"]) == 1) }
}
