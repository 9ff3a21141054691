import Invalidation
import Testing

@Suite struct KeyTemplateParserTests {
  typealias Segment = KeyTemplate.Segment

  static func literal(_ text: String) -> Segment { .literal(Array(text.utf8)) }

  @Test(
    arguments: [
      ("user:{id}", [literal("user:"), .column("id", [])]),
      ("{id}", [.column("id", [])]),
      ("users:all", [literal("users:all")]),
      ("user:email:{email|lower}", [literal("user:email:"), .column("email", [.lower])]),
      ("{a|trim|lower|sha256}:x", [.column("a", [.trim, .lower, .sha256]), literal(":x")]),
      ("{a}{b}", [.column("a", []), .column("b", [])]),
      ("cart:{{{id}}}", [literal("cart:{"), .column("id", []), literal("}")]),
      ("{{}}", [literal("{}")]),
      ("a}}b{{c", [literal("a}b{c")]),
      ("{{{a}}}:{{{b}}}", [literal("{"), .column("a", []), literal("}:{"), .column("b", []), literal("}")]),
      ("o:{Order Id}", [literal("o:"), .column("Order Id", [])]),
      ("größe:{Größe|url}", [literal("größe:"), .column("Größe", [.url])]),
    ] as [(String, [Segment])])
  func reads(text: String, segments: [Segment]) throws {
    let template = try KeyTemplate(parsing: text)
    #expect(template.segments == segments)
    #expect(template.text == text)
  }

  @Test(
    arguments: [
      ("", .empty, 0),
      ("user:{id", .unclosedBrace, 5),
      ("user:{", .unclosedBrace, 5),
      ("user:id}", .strayBrace, 7),
      ("{a}}", .strayBrace, 3),
      ("user:{a{b}", .nestedBrace, 7),
      ("user:{}", .missingColumn, 6),
      ("user:{|lower}", .missingColumn, 6),
      ("user:{id|}", .missingFunction, 9),
      ("user:{id||md5}", .missingFunction, 9),
      ("größe:{id|lowr}", .unknownFunction("lowr"), 12),
      ("{id|LOWER}", .unknownFunction("LOWER"), 4),
    ] as [(String, KeyTemplateError.Problem, Int)])
  func refuses(text: String, problem: KeyTemplateError.Problem, offset: Int) {
    #expect(throws: KeyTemplateError(problem: problem, offset: offset)) { try KeyTemplate(parsing: text) }
  }

  @Test func namesTheNearestFunction() {
    let error = KeyTemplateError(problem: .unknownFunction("sha265"), offset: 4)
    #expect(error.expected == #"one of lower, upper, trim, url, md5, sha1, sha256; the nearest is "sha256""#)
  }

  @Test(arguments: [
    ("tabel", "table"), ("wehre", "where"), ("NAME", "name"), ("key", "keys"), ("patern", "pattern"),
  ])
  func nearest(name: String, expected: String) {
    #expect(nearestName(to: name, among: ["name", "table", "where", "keys", "pattern"]) == expected)
  }

  @Test func nothingIsNearToNothing() {
    #expect(nearestName(to: "a", among: []) == nil)
  }
}
