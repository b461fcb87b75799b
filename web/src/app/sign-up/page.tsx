// Create an account with email and password.
import { Credentials } from "@/app/credentials";
import { NoticeBox } from "@/app/notice";
import { noticeOf } from "@/lib/words";

export const metadata = { title: "Create an account · ATS" };

export default async function SignUp({ searchParams }: PageProps<"/sign-up">) {
  const { notice } = await searchParams;
  return (
    <div className="door">
      <h1>Create an account</h1>
      <p className="soft">
        You have one? <a href="/sign-in">Sign in</a>
      </p>
      <NoticeBox notice={noticeOf(typeof notice === "string" ? notice : undefined)} />
      <div className="card">
        <Credentials action="/auth/sign-up" submit="Create account" password="new-password" />
      </div>
    </div>
  );
}
