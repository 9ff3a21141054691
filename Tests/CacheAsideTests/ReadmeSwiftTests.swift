import CacheAside
import Foundation
import Testing

private struct Database {
  func name(ofUser id: Int) async throws -> String? { "Ada \(id)" }
}

/// README's Swift. That it compiles is half of the test; that README has these very lines is the other.
private func readmeReader(_ database: Database, _ id: Int) async throws -> String? {
  // README begins
  let cache = LeasedCache(RedisClient(RedisConfiguration(.tcp(host: "cache.internal", port: 6379))))

  let name = try await cache.value(for: "user:\(id)", ttl: .seconds(300), coding: .utf8) {
    try await database.name(ofUser: id)  // a new statement; nil when there is no such row
  }
  // README ends
  return name
}

@Suite struct ReadmeSwiftTests {
  @Test("the Swift of README's section on readers is the one that is compiled here")
  func sameLines() throws {
    let here = try String(contentsOfFile: #filePath, encoding: .utf8).components(separatedBy: "\n")
    let begin = try #require(here.firstIndex(of: "  // README begins"))
    let end = try #require(here.firstIndex(of: "  // README ends"))
    let compiled = here[(begin + 1)..<end].map { String($0.dropFirst(2)) }.joined(separator: "\n")
    #expect(try Repository.text("README.md").contains("```swift\n\(compiled)\n```\n"), "\(compiled)")
  }
}
