import Testing

@testable import Invalidation

@Suite struct GlobSetTests {
  @Test(
    "what SCAN is asked for covers every glob",
    arguments: [
      (["user:*"], "user:*"), (["user:*", "user:*:mail"], "user:*"), (["app:user:*", "app:mail:*"], "app:*"),
      (["user:*", "*"], "*"), (["user:[12]*", "user:3"], "user:*"), (["order\\[v1]:*", "order:*"], "order*"),
    ])
  func union(_ globs: [String], _ union: String) {
    #expect(String(decoding: GlobSet(globs.map { Array($0.utf8) }).union, as: UTF8.self) == union)
  }

  /// `GlobTests` says what one glob covers.
  @Test("a set covers what its globs cover one by one")
  func agreement() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("aab:*?[]\\^-".utf8)
    func text(_ letters: [UInt8], upTo length: Int) -> [UInt8] {
      (0..<Int.random(in: 0...length, using: &random)).map { _ in letters.randomElement(using: &random)! }
    }
    var covered = 0
    for _ in 0..<2_000 {
      let globs = (0..<Int.random(in: 1...6, using: &random)).map { _ in text(alphabet, upTo: 6) }
      let set = GlobSet(globs)
      for _ in 0..<10 {
        let key = text(Array("ab:*[".utf8), upTo: 5)
        let expected = globs.indices.filter { Glob.matches(globs[$0], key) }
        #expect(set.places(covering: key).sorted() == expected, "\(globs) and \(key)")
        if !expected.isEmpty {
          #expect(Glob.matches(set.union, key), "\(globs) and \(key)")
          covered += 1
        }
      }
    }
    #expect(covered > 1_000)
  }
}
