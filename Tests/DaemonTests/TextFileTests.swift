import Foundation
import Testing

@testable import Daemon

@Suite struct TextFileTests {
  private static func withPipe(_ body: (String) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.path + "/pipe-\(UUID().uuidString)"
    let made = unsafe mkfifo(path, 0o600)
    try #require(made == 0)
    defer { unsafe unlink(path) }
    try body(path)
  }

  @Test func aPipeIsReadToItsEnd() throws {
    try Self.withPipe { path in
      Thread.detachNewThread {
        guard let writer = FileHandle(forWritingAtPath: path) else { return }
        for part in ["rules", ": []"] {
          Thread.sleep(forTimeInterval: 0.05)
          try? writer.write(contentsOf: Data(part.utf8))
        }
      }
      let text = try readTextFile(path)
      #expect(text == "rules: []")
    }
  }

  @Test func nobodyIsWaitedForForEver() throws {
    try Self.withPipe { path in
      #expect(throws: TextFileError(reason: "a pipe into which nobody writes")) {
        try readTextFile(path, patience: 50)
      }
    }
  }
}
