import CLibFuzzer
import Foundation

/// The entry points as a program: `Tests/fuzz` has the usage.
@main struct Main {
  static func main() throws {
    // Of the environment, since libFuzzer starts itself again with the arguments that it knows.
    if let name = ProcessInfo.processInfo.environment["FUZZ_ENTRY_POINT"] {
      return search(try entryPoint(name))
    }
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch arguments.first {
    case "--list": for entryPoint in EntryPoint.all { print(entryPoint.name) }
    case "--replay": try replay(Array(arguments.dropFirst()))
    case "--unpack": try unpack(try entryPoint(arguments[1]), into: arguments[2])
    case "--lines":
      for file in arguments.dropFirst() {
        print(Corpus.line(Array(try Data(contentsOf: URL(filePath: file)))))
      }
    default: throw Violation("nothing to do; see Tests/fuzz")
    }
  }

  private static func entryPoint(_ name: String) throws -> EntryPoint {
    guard let entryPoint = EntryPoint.all.first(where: { $0.name == name }) else {
      throw Violation("no entry point \(name); there are: \(EntryPoint.all.map { $0.name })")
    }
    return entryPoint
  }

  /// All that the tests take as well, mutations apart; of these entry points, or of all.
  private static func replay(_ names: [String]) throws {
    let chosen = names.isEmpty ? EntryPoint.all : try names.map { try entryPoint($0) }
    for entryPoint in chosen {
      let start = ContinuousClock.now
      var replay = try Replay(entryPoint)
      try replay.entries()
      try replay.beginnings()
      try replay.otherBytes(3)
      try replay.hostile()
      let duration = Int((ContinuousClock.now - start) / .milliseconds(1))
      FileHandle.standardOutput.write(
        Data("\(entryPoint.name): \(replay.count) inputs in \(duration) ms\n".utf8))
    }
  }

  /// Writes each entry to a file of its own, and beside the folder the words as a dictionary.
  private static func unpack(_ entryPoint: EntryPoint, into folder: String) throws {
    for (number, entry) in try Corpus(of: entryPoint).entries.enumerated() {
      try Data(entry).write(to: URL(filePath: folder).appending(path: "kept-\(number)"))
    }
    let words = entryPoint.words.map { word in
      "\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"\n"
    }
    try Data(words.joined().utf8).write(to: URL(filePath: folder + ".words"))
  }

  /// Hands over to libFuzzer, which reads the other arguments.
  private static func search(_ entryPoint: EntryPoint) {
    unsafe searched = entryPoint
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    exit(unsafe LLVMFuzzerRunDriver(&count, &arguments, takeInput))
  }
}

nonisolated(unsafe) private var searched: EntryPoint?

/// libFuzzer's own `main`, which is not used, names it as well.
@_cdecl("LLVMFuzzerTestOneInput")
func takeInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  do {
    try unsafe searched?.run(Array(UnsafeBufferPointer(start: bytes, count: size)))
  } catch {
    fatalError("\(error)")
  }
  return 0
}
