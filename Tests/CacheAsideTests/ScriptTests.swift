import Crypto
import Foundation
import Testing

@testable import CacheAside

@Suite struct ScriptTests {
  private static let scripts = [("get", Script.get), ("fill", Script.fill), ("release", Script.release)]

  @Test("the library runs the very files that other languages load, under their digest")
  func filesAndDigests() throws {
    for (name, script) in Self.scripts {
      #expect(try Repository.file("Sources/CacheAside/Scripts/\(name).lua") == script.text)
      let digest = Insecure.SHA1.hash(data: script.text).map { String(format: "%02x", $0) }.joined()
      #expect(String(decoding: script.digest, as: UTF8.self) == digest, "digest of \(name).lua")
    }
  }

  @Test("the table in README.md has the keys, arguments and replies of each script's header")
  func readmeTable() throws {
    let readme = try Repository.text("README.md")
    for (name, script) in Self.scripts {
      let row = try #require(readme.split(separator: "\n").first { $0.hasPrefix("| `\(name).lua`") })
      let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let header = String(decoding: script.text, as: UTF8.self)
      for (cell, label) in zip(cells.dropFirst(), ["KEYS", "ARGV", "reply"]) {
        let line = try #require(header.split(separator: "\n").first { $0.hasPrefix("-- \(label) ") })
        let promised = line.dropFirst("-- \(label) ".count).trimmingCharacters(in: .whitespaces)
        #expect(cell == promised.split(separator: " | ").map { "`\($0)`" }.joined(separator: " "), "\(name)")
      }
    }
  }
}
