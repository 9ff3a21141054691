// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "cdcd",
  products: [
    .executable(name: "cdcd", targets: ["cdcd"]),
    .library(name: "CacheAside", targets: ["CacheAside"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .target(name: "LeaseKeys", swiftSettings: strict),
    .target(
      name: "CacheAside",
      dependencies: [
        "LeaseKeys",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      resources: [.embedInCode("Scripts")],
      swiftSettings: strict
    ),
    .target(
      name: "Invalidation",
      dependencies: [
        "LeaseKeys",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      swiftSettings: strict
    ),
    .target(
      name: "PostgresSource",
      dependencies: ["CLibpq", "Invalidation"],
      swiftSettings: strict
    ),
    .target(
      name: "RedisSink",
      dependencies: ["CHiredis", "Invalidation"],
      swiftSettings: strict
    ),
    .target(
      name: "Daemon",
      dependencies: [
        "Invalidation", "PostgresSource", "RedisSink",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "Yams", package: "Yams"),
      ],
      resources: [
        .embedInCode("HTTP/index.html"), .embedInCode("Setup/ddl-triggers.sql"),
        .embedInCode("Setup/outbox.sql"),
      ],
      swiftSettings: strict
    ),
    .executableTarget(
      name: "cdcd",
      dependencies: [
        "Daemon", "Invalidation", "PostgresSource",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: [
        // Less memory: its symbols are nobody's to look up, relocations are packed, and what it calls of the runtime
        // and of libraries stands side by side (Benchmarks/link-order).
        .unsafeFlags(
          [
            "--no-export-dynamic", "-z", "pack-relative-relocs", "--icf=safe",
            "--symbol-ordering-file=\(Context.packageDirectory)/Benchmarks/link-order.txt",
            "--no-warn-symbol-ordering",
          ].reduce(into: ["-use-ld=lld"]) { flags, option in flags += ["-Xlinker", option] },
          .when(configuration: .release))
      ]
    ),
    .executableTarget(
      name: "hot-path", dependencies: ["Invalidation"], path: "Benchmarks/HotPath", swiftSettings: strict),
    .testTarget(
      name: "CacheAsideTests",
      dependencies: [
        "CacheAside", "Invalidation", "LeaseKeys",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
      ],
      swiftSettings: strict
    ),
    .testTarget(
      name: "InvalidationTests",
      dependencies: ["Invalidation", "LeaseKeys"],
      swiftSettings: strict
    ),
    .testTarget(
      name: "Simulation",
      dependencies: ["Invalidation"],
      swiftSettings: strict
    ),
    .testTarget(
      name: "DaemonTests",
      dependencies: [
        "Daemon", "Invalidation", "PostgresSource", "RedisSink",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: strict
    ),
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "CacheAside", "Daemon", "Invalidation", "LeaseKeys",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      exclude: ["Corpus", "Driver", "README.md", "capture"],
      swiftSettings: strict
    ),
    .testTarget(
      name: "IntegrationTests",
      dependencies: ["CacheAside", "Invalidation", "LeaseKeys", "PostgresSource", "RedisSink"],
      swiftSettings: strict
    ),
  ]
)

// `Tests/fuzz` builds FuzzTests as a program with libFuzzer and address sanitizer: `core` with the entry points of
// Invalidation, `all` with every one. What is our own is instrumented; what it depends on is not.
if let extent = Context.environment["CDCD_FUZZ"] {
  let isCore = extent == "core"
  let instrumented: [SwiftSetting] =
    strict + [.unsafeFlags(["-O", "-sanitize=fuzzer,address", "-enable-testing"])]
  package.products.removeAll()
  package.targets.removeAll { target in
    target.type == .test || isCore && !["LeaseKeys", "Invalidation"].contains(target.name)
  }
  if isCore {
    package.dependencies.removeAll { dependency in
      guard case .sourceControl(_, let location, _) = dependency.kind else { return false }
      return !location.hasSuffix("/swift-crypto") && !location.hasSuffix("/swift-collections")
    }
  }
  for target in package.targets where target.type != .system { target.swiftSettings = instrumented }
  package.targets += [
    .systemLibrary(name: "CLibFuzzer", path: "Tests/FuzzTests/Driver/CLibFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: ["CLibFuzzer", "Invalidation", "LeaseKeys"]
        + (isCore
          ? []
          : [
            "CacheAside", "Daemon",
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "NIOCore", package: "swift-nio"),
          ]),
      path: "Tests/FuzzTests",
      exclude: [
        "Corpus", "Driver/CLibFuzzer", "README.md", "capture", "CapturedMessageTests.swift",
        "CommitTimeTests.swift", "ReplayTests.swift",
      ]
        + (isCore ? ["EntryPoints/Shells"] : []),
      swiftSettings: instrumented + (isCore ? [.define("FUZZES_CORE_ONLY")] : []),
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]
    ),
  ]
}
