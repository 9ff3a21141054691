import Foundation

/// The files that the tests were compiled from.
enum Repository {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static func file(_ path: String) throws -> [UInt8] {
    try Array(Data(contentsOf: root.appendingPathComponent(path)))
  }

  static func text(_ path: String) throws -> String { String(decoding: try file(path), as: UTF8.self) }
}
